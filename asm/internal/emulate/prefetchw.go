package emulate

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

var byteForm = regexp.MustCompile(`^BYTE \$(0x[0-9a-f]{2})$`)

// prefetchW accepts the bytes of one PREFETCHW, 0F 0D /1 with an address in memory,
// which changes nothing that a program can see. All else that is written as bytes is
// refused.
func prefetchW(line string) error {
	var code []byte
	for s := range strings.SplitSeq(line, "; ") {
		f := byteForm.FindStringSubmatch(s)
		if f == nil {
			return errors.New("is not of the known form")
		}
		b, err := strconv.ParseUint(f[1], 0, 8)
		if err != nil {
			return err
		}
		code = append(code, byte(b))
	}
	rest := code
	if len(rest) > 0 && rest[0]&0xf0 == 0x40 { // REX
		rest = rest[1:]
	}
	if len(rest) < 3 || rest[0] != 0x0f || rest[1] != 0x0d || rest[2]>>3&7 != 1 {
		return errors.New("these bytes are no PREFETCHW")
	}
	mod, rm := rest[2]>>6, rest[2]&7
	length := 3
	if mod != 3 && rm == 4 { // a SIB byte
		length++
	}
	switch mod {
	case 1:
		length++
	case 2:
		length += 4
	default:
		return errors.New("the address is not of a known form")
	}
	if len(rest) != length {
		return errors.New("the bytes are not one instruction")
	}
	return nil
}
