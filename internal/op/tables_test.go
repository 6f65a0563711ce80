package op

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/internal/expr"
)

// tables are all tables by what the spec calls them.
func tables() map[string][]*Entry {
	return map[string][]*Entry{
		"activation": entries(Activations), "loss": entries(Losses), "output": entries(Outputs),
		"optimizer": entries(Optimizers), "schedule": entries(Schedules), "init": entries(Inits),
		"precision": entries(Precisions),
	}
}

func entries[R Row](table []R) []*Entry {
	var list []*Entry
	for _, r := range table {
		list = append(list, r.Base())
	}
	return list
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func TestNamesAreUniqueInEachTable(t *testing.T) {
	for table, rows := range tables() {
		if len(rows) == 0 {
			t.Errorf("the table of %ss is empty", table)
		}
		seen := map[string]bool{}
		for _, e := range rows {
			names := []string{e.Name}
			for _, a := range e.Aliases {
				names = append(names, a.Name)
			}
			for _, name := range names {
				if seen[name] {
					t.Errorf("two %ss are called %q", table, name)
				}
				seen[name] = true
				if !identifier.MatchString(name) {
					t.Errorf("%s %q: not a plain lower-case name", table, name)
				}
			}
		}
	}
}

func TestEntriesAreComplete(t *testing.T) {
	for table, rows := range tables() {
		for _, e := range rows {
			if strings.TrimSpace(e.Doc) == "" || !strings.HasSuffix(e.Doc, ".") || strings.Contains(e.Doc, "\n") {
				t.Errorf("%s %s: the doc is not one sentence: %q", table, e.Name, e.Doc)
			}
			names := map[string]bool{}
			for _, s := range e.Settings {
				if names[s.Name] || !identifier.MatchString(s.Name) {
					t.Errorf("%s %s: setting %q is a double or no plain name", table, e.Name, s.Name)
				}
				names[s.Name] = true
				if s.Doc == "" {
					t.Errorf("%s %s: setting %s has no doc", table, e.Name, s.Name)
				}
				if err := checkKind(s); err != nil {
					t.Errorf("%s %s: setting %s: %v", table, e.Name, s.Name, err)
				}
				if s.Default != nil {
					if err := checkValue(s, s.Default); err != nil {
						t.Errorf("%s %s: default of %s: %v", table, e.Name, s.Name, err)
					}
				}
			}
			if e.Main != "" && !names[e.Main] {
				t.Errorf("%s %s: the main setting %q does not exist", table, e.Name, e.Main)
			}
			if len(e.Settings) == 1 && e.Main != e.Settings[0].Name && e.Settings[0].Required() {
				t.Errorf("%s %s: its only setting cannot stand alone", table, e.Name)
			}
			for _, a := range e.Aliases {
				for name, v := range a.Preset {
					s, ok := e.Setting(name)
					if !ok {
						t.Errorf("%s %s: alias %s fixes %q, which does not exist", table, e.Name, a.Name, name)
					} else if err := checkValue(s, v); err != nil {
						t.Errorf("%s %s: alias %s: %v", table, e.Name, a.Name, err)
					}
				}
			}
		}
	}
}

func checkKind(s Setting) error {
	switch s.Kind {
	case Number, Count:
		if s.Min >= s.Max || len(s.Choices) > 0 {
			return fmt.Errorf("range %g to %g, choices %v", s.Min, s.Max, s.Choices)
		}
	case Flag:
		if s.Choices != nil || s.Min != 0 || s.Max != 0 {
			return fmt.Errorf("a flag with a range or choices")
		}
	case Choice:
		if len(s.Choices) < 2 || len(slices.Compact(slices.Sorted(slices.Values(s.Choices)))) != len(s.Choices) {
			return fmt.Errorf("choices %v", s.Choices)
		}
	default:
		return fmt.Errorf("kind %q", s.Kind)
	}
	return nil
}

func checkValue(s Setting, v any) error {
	ok := false
	switch v := v.(type) {
	case float64:
		ok = (s.Kind == Number || s.Kind == Count) && v >= s.Min && v <= s.Max && !(s.Open && v == s.Min) &&
			(s.Kind == Number || v == float64(int(v)))
	case bool:
		ok = s.Kind == Flag
	case string:
		ok = s.Kind == Choice && slices.Contains(s.Choices, v)
	}
	if !ok {
		return fmt.Errorf("%v (%T) is not a value of the setting", v, v)
	}
	return nil
}

func TestFindAndNames(t *testing.T) {
	for _, name := range Names(Activations) {
		row, preset, ok := Find(Activations, name)
		if !ok {
			t.Errorf("%s is listed and not found", name)
			continue
		}
		isAlias := row.Name != name
		if !isAlias && preset != nil {
			t.Errorf("%s has the preset %v", name, preset)
		}
		if _, ok := row.Setting("no such setting"); ok {
			t.Errorf("%s has every setting", name)
		}
	}
	if _, _, ok := Find(Activations, "no such row"); ok {
		t.Error("a row that is not there was found")
	}
	if row, preset, ok := Find(Activations, "glu"); !ok || row.Name != "swiglu" || preset.Text("gate") != "sigmoid" {
		t.Error("glu is not swiglu with the sigmoid gate")
	}
	if v := must(Optimizers, "adamw").Defaults(); v.Num("weight_decay") != 0.01 || v["lr"] != nil {
		t.Errorf("defaults of adamw: %v", v)
	}
}

func TestReferencesBetweenTablesResolve(t *testing.T) {
	families := map[Family]bool{}
	for _, a := range Activations {
		families[a.Family] = true
		if a.Formula == "" || a.Source == "" {
			t.Errorf("%s has no formula or no source", a.Name)
		}
		if a.Transforms == "" {
			continue
		}
		o, _, ok := Find(Outputs, a.Transforms)
		if !ok {
			t.Errorf("%s transforms like %q, which is no output", a.Name, a.Transforms)
			continue
		}
		if o.Expr() == nil || o.Expr().Key() != a.Expr(a.Defaults()).Key() {
			t.Errorf("%s and the output %s are not the same function", a.Name, o.Name)
		}
	}
	for _, l := range Losses {
		if (l.Value == nil) == (l.Rowwise == "") {
			t.Errorf("%s is not one of element-wise and row-wise", l.Name)
		}
		if l.Contains == "" {
			continue
		}
		if _, _, ok := Find(Outputs, l.Contains); !ok {
			t.Errorf("%s contains %q, which is no output", l.Name, l.Contains)
		}
	}
	for _, o := range Outputs {
		if (o.Value == nil) == (o.Rowwise == "") {
			t.Errorf("%s is not one of element-wise and row-wise", o.Name)
		}
		for _, m := range o.Metrics {
			if !slices.ContainsFunc(Losses, func(l *Loss) bool { return l.Metrics == m }) {
				t.Errorf("no loss has the metrics %q of the output %s", m, o.Name)
			}
		}
	}
	for _, l := range Losses {
		if !slices.ContainsFunc(Outputs, func(o *Output) bool { return slices.Contains(o.Metrics, l.Metrics) }) {
			t.Errorf("no output suits the metrics of %s", l.Name)
		}
	}
	for _, i := range Inits {
		if i.ByFamily == nil {
			if i.Scale == nil || !slices.Contains([]string{"uniform", "normal", "constant"}, i.Shape) {
				t.Errorf("init %s has no distribution", i.Name)
			}
			continue
		}
		for f := range families {
			if row := i.For(f); row.ByFamily != nil {
				t.Errorf("init %s leads to %s, which leads on", i.Name, row.Name)
			}
		}
		for f := range i.ByFamily {
			if !families[f] {
				t.Errorf("init %s knows the family %q, which nobody is of", i.Name, f)
			}
		}
	}
	for _, o := range Optimizers {
		if s, ok := o.Setting(VarLR); !ok || s.Kind != Number {
			t.Errorf("%s has no learning rate", o.Name)
		}
		if s, ok := o.Setting(VarMomentum); o.Momentum && (!ok || s.Kind != Number) {
			t.Errorf("%s has momentum without a setting for it", o.Name)
		}
	}
}

// TestContainedTransformationIsTheSlope: a loss that applies a transformation
// itself has the transformed output minus the target as its slope.
func TestContainedTransformationIsTheSlope(t *testing.T) {
	for _, l := range Losses {
		if l.Contains == "" || l.Value == nil {
			continue
		}
		output := must(Outputs, l.Contains).Expr()
		_, slope := l.Expr(l.Defaults())
		for _, y := range []float64{0, 1} {
			for z := -30.0; z <= 30; z += 0.5 {
				vars := map[string]float64{VarZ: z, VarY: y}
				got, want := expr.Eval(slope, vars), expr.Eval(output, vars)-y
				if d := got - want; d > 1e-15 || d < -1e-15 {
					t.Errorf("%s at z = %g, y = %g: slope %g, want %g", l.Name, z, y, got, want)
				}
			}
		}
	}
}

// settings lists settings of an entry: the defaults, every choice and flag,
// and for numbers the ends of the range and values between.
func settings(e *Entry) []Values {
	base := e.Defaults()
	for _, s := range e.Settings {
		if s.Required() {
			base[s.Name] = 1.0
		}
	}
	list := []Values{base}
	with := func(name string, v any) {
		next := Values{}
		for k, v := range base {
			next[k] = v
		}
		next[name] = v
		list = append(list, next)
	}
	for _, s := range e.Settings {
		switch s.Kind {
		case Flag:
			with(s.Name, true)
			with(s.Name, false)
		case Choice:
			for _, c := range s.Choices {
				with(s.Name, c)
			}
		default:
			for _, v := range []float64{s.Min, -1.3, 0, 1e-3, 0.3, 0.9, 1, 2, s.Max} {
				if checkValue(s, v) == nil {
					with(s.Name, v)
				}
			}
		}
	}
	return list
}

// TestExpressionsReadWhatIsBound checks the variables and the primitives of
// every expression of every table.
func TestExpressionsReadWhatIsBound(t *testing.T) {
	check := func(what string, n *expr.Node, host bool, vars ...string) {
		t.Helper()
		for _, part := range expr.Schedule(n) {
			if part.Op.HostOnly() && !host {
				t.Errorf("%s: %s stands in a kernel's expression %s", what, part.Op, n)
			}
		}
		for _, name := range expr.Vars(n) {
			if !slices.Contains(vars, name) {
				t.Errorf("%s reads %s: %s", what, name, n)
			}
		}
	}
	for _, a := range Activations {
		for _, v := range settings(&a.Entry) {
			what, vars := fmt.Sprintf("%s %v", a.Name, v), []string{VarZ}
			if a.Gated {
				vars = append(vars, VarGate)
			}
			if a.Param(v) != nil {
				vars = append(vars, VarParam)
				if !expr.Uses(a.Expr(v), VarParam) {
					t.Errorf("%s does not read its parameter", what)
				}
			}
			if a.Gated && !expr.Uses(a.Expr(v), VarGate) {
				t.Errorf("%s does not read its gate", what)
			}
			check(what, a.Expr(v), false, vars...)
			for _, by := range vars {
				check(what+"'", expr.Derive(a.Expr(v), by), false, vars...)
			}
		}
	}
	for _, l := range Losses {
		for _, v := range settings(&l.Entry) {
			if value, slope := l.Expr(v); value != nil {
				check(l.Name, value, false, VarZ, VarY)
				check(l.Name+"'", slope, false, VarZ, VarY)
			}
		}
	}
	for _, o := range Outputs {
		if o.Value != nil {
			check(o.Name, o.Expr(), false, VarZ)
		}
		if got := o.Width(7); got != 7 && (got != 1 || !o.Single) {
			t.Errorf("%s makes 7 outputs %d", o.Name, got)
		}
	}
	for _, o := range Optimizers {
		for _, v := range settings(&o.Entry) {
			states, w, next, scalars := o.Rule(v)
			vars := append([]string{VarW, VarG, VarLR}, states...)
			if o.Momentum {
				vars = append(vars, VarMomentum)
			}
			known := []string{VarT}
			for _, s := range scalars {
				check(o.Name+" "+s.Name, s.Expr, true, known...)
				known = append(known, s.Name)
				vars = append(vars, s.Name)
			}
			if len(next) != len(states) {
				t.Fatalf("%s has %d states and makes %d", o.Name, len(states), len(next))
			}
			check(o.Name, w, false, vars...)
			for i, n := range next {
				if n == nil {
					t.Fatalf("%s does not make its state %s", o.Name, states[i])
				}
				check(o.Name+" "+states[i], n, false, vars...)
			}
		}
	}
	for _, s := range Schedules {
		for _, v := range settings(&s.Entry) {
			check(s.Name, s.Rate(v), true, VarLR, VarStep, VarEpoch, VarStepsPerEpoch, VarEpochs)
		}
	}
	for _, i := range Inits {
		for _, n := range []*expr.Node{i.Scale, i.Bias} {
			if n != nil {
				check(i.Name, n, true, VarFanIn, VarFanOut, VarGain)
			}
		}
	}
}
