package expr

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestStringReadsBack parses formulas and compares the nodes: a formula must
// say what is computed, down to the last parenthesis.
func TestStringReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	for range 20000 {
		n := randomTree(randomSource{r}, 1+r.IntN(5)).node()
		text := n.String()
		if strings.Contains(text, "Inf") || strings.Contains(text, "NaN") {
			continue // what 1/0 folds to is no formula
		}
		got, err := parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got.Key() != n.Key() {
			t.Fatalf("%s reads back as %s", text, got)
		}
	}
}

func TestString(t *testing.T) {
	x, y := V("x"), V("y")
	for _, test := range []struct {
		n    *Node
		want string
	}{
		{IfNotPositive(x, Prod(C(0.01), x), x), "x <= 0 ? 0.01*x : x"},
		{Diff(x, Diff(y, C(1))), "x - (y - 1)"},
		{Quot(x, Prod(y, x)), "x/(y*x)"},
		{Minus(Sum(x, y)), "-(x + y)"},
		{Fn(Abs, Diff(x, y)), "|x - y|"},
		{Fn(Tanh, Fn(Softplus, x)), "tanh(softplus(x))"},
		{Prod(IfNotPositive(x, C(1), y), y), "(x <= 0 ? 1 : y)*y"},
	} {
		if got := test.n.String(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// parser reads what String writes, without simplifying.
type parser struct{ rest string }

func parse(text string) (n *Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	p := &parser{text}
	n = p.choice()
	if p.rest != "" {
		return nil, fmt.Errorf("%q is left over", p.rest)
	}
	return n, nil
}

func (p *parser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.rest, token)
	p.rest = rest
	return ok
}

func (p *parser) expect(token string) {
	if !p.take(token) {
		panic(fmt.Sprintf("no %q before %q", token, p.rest))
	}
}

func (p *parser) choice() *Node {
	c := p.sum()
	if !p.take(" <= 0 ? ") {
		return c
	}
	then := p.sum()
	p.expect(" : ")
	return node(Select, c, then, p.choice())
}

func (p *parser) sum() *Node {
	n := p.product()
	for {
		switch {
		case p.take(" + "):
			n = node(Add, n, p.product())
		case p.take(" - "):
			n = node(Sub, n, p.product())
		default:
			return n
		}
	}
}

func (p *parser) product() *Node {
	n := p.unary()
	for {
		switch {
		case p.take("*"):
			n = node(Mul, n, p.unary())
		case p.take("/"):
			n = node(Div, n, p.unary())
		default:
			return n
		}
	}
}

var (
	numeral = regexp.MustCompile(`^-?[0-9][0-9.]*(e[-+][0-9]+)?`)
	word    = regexp.MustCompile(`^[a-z_0-9]+`)
)

func (p *parser) unary() *Node {
	if s := numeral.FindString(p.rest); s != "" {
		p.expect(s)
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			panic(err)
		}
		return C(v)
	}
	if p.take("-") {
		return node(Neg, p.unary())
	}
	if p.take("(") {
		n := p.choice()
		p.expect(")")
		return n
	}
	if p.take("|") {
		n := p.choice()
		p.expect("|")
		return node(Abs, n)
	}
	name := word.FindString(p.rest)
	p.expect(name)
	if name == "" {
		panic("an operand is missing before " + strconv.Quote(p.rest))
	}
	if !p.take("(") {
		return V(name)
	}
	for _, op := range Ops() {
		if op.String() == name {
			n := node(op, p.choice())
			p.expect(")")
			return n
		}
	}
	panic("unknown function " + name)
}
