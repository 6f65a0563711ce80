package trainer

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/runtime/wording"
)

// command is one command of the trainer.
type command struct {
	name     string
	short    string   // one line for the list
	long     string   // paragraphs for its own help
	args     string   // of the usage line
	examples []string // arguments, without the program's name
	// survivesPipe: see Main.
	survivesPipe bool
	// define adds the command's flags to fs, with the network's own values as
	// defaults, and returns what runs it once they are parsed. Nil for help,
	// which has no flags.
	define func(a *app, fs *flag.FlagSet) func() error
}

// commands lists all commands, as help shows them. A new one is a file with its
// row, and its place here. It is a function so that what help calls may call it.
func commands() []*command {
	return []*command{
		trainCommand, evalCommand, predictCommand, exportCommand, gradcheckCommand, verifyCommand, benchCommand, infoCommand, versionCommand,
		helpCommand,
	}
}

// choose finds the command of a command line, which is train where none is
// named, and returns the arguments that are left for it.
func choose(args []string) (*command, []string, error) {
	if len(args) == 0 {
		return trainCommand, nil, nil
	}
	switch first := args[0]; {
	case slices.Contains([]string{"-h", "-help", "--help"}, first):
		return helpCommand, args[1:], nil
	case first == "-version" || first == "--version":
		return versionCommand, args[1:], nil
	case strings.HasPrefix(first, "-"):
		return trainCommand, args, nil
	default:
		c, err := find(first)
		return c, args[1:], err
	}
}

func find(name string) (*command, error) {
	var names []string
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	return nil, usage("there is no command %q%s", name, nearest(name, names))
}

// nearest suggests the name that is spelled most like the given one.
func nearest(name string, names []string) string {
	guess := wording.Nearest(name, names)
	if guess == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", guess)
}

// start parses the command's flags and runs it.
func (c *command) start(a *app, args []string) error {
	if c.define == nil {
		return a.help(args)
	}
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	run := c.define(a, fs)
	if wantsHelp(args) {
		a.commandHelp(c, fs)
		return nil
	}
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usage("%s takes no argument %q%s", c.name, fs.Arg(0), apart(fs, args))
	}
	return run()
}

// apart suggests how a flag of truth takes its value, where args give it as an
// argument of its own.
func apart(fs *flag.FlagSet, args []string) string {
	at := len(args) - fs.NArg()
	if _, err := strconv.ParseBool(args[at]); err != nil || at == 0 {
		return ""
	}
	f := fs.Lookup(strings.TrimLeft(args[at-1], "-"))
	if f == nil || !takesTruth(f) {
		return ""
	}
	return fmt.Sprintf("; did you mean --%s=%s?", f.Name, args[at])
}

// takesTruth tells whether a flag is true when it stands alone, so that a value
// apart would be taken for an argument.
func takesTruth(f *flag.Flag) bool {
	b, is := f.Value.(interface{ IsBoolFlag() bool })
	return is && b.IsBoolFlag()
}

func wantsHelp(args []string) bool {
	return slices.ContainsFunc(args, func(s string) bool { return s == "-h" || s == "-help" || s == "--help" })
}

// parse parses flags, and says what is wrong in the program's own words.
func parse(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err == nil {
		return nil
	}
	text := err.Error()
	if name, unknown := strings.CutPrefix(text, "flag provided but not defined: -"); unknown {
		var names, flags []string
		fs.VisitAll(func(f *flag.Flag) { names, flags = append(names, f.Name), append(flags, dashed(f.Name)) })
		name = strings.TrimPrefix(name, "-")
		hint := "; its flags are " + strings.Join(flags, ", ")
		if guess := wording.Nearest(name, names); guess != "" {
			hint = fmt.Sprintf("; did you mean %q?", dashed(guess))
		}
		return usage("%s has no flag %s%s", fs.Name(), dashed(name), hint)
	}
	if name, lacks := strings.CutPrefix(text, "flag needs an argument: -"); lacks {
		return usage("--%s needs a value", name)
	}
	// The library writes: invalid boolean value "x" for -name: reason, and
	// invalid value "x" for flag -name: reason.
	if flag, is := strings.CutPrefix(text, "invalid boolean "); is {
		flag, _, _ = strings.Cut(flag, ": ")
		return usage("invalid %s: it is true or false", strings.Replace(flag, "for -", "for --", 1))
	}
	return usage("%s", strings.Replace(strings.Replace(text, "for flag -", "for --", 1), "parse error", "not a number that it takes", 1))
}

// dashed returns a flag as it is written.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// set tells which flags the command line names.
func set(fs *flag.FlagSet) map[string]bool {
	named := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { named[f.Name] = true })
	return named
}
