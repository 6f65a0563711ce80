package trainer

import (
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/pool"
)

var helpCommand = &command{name: "help", short: "explain a command", args: "[COMMAND]"}

// help explains the program or one command.
func (a *app) help(args []string) error {
	if wantsHelp(args) {
		args = nil
	}
	if len(args) > 1 {
		return usage("help takes one command")
	}
	if len(args) == 1 {
		c, err := find(args[0])
		if err != nil {
			return err
		}
		if c.define != nil {
			fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
			fs.SetOutput(io.Discard)
			c.define(a, fs)
			a.commandHelp(c, fs)
			return nil
		}
	}
	o := a.stdout
	o.printf("%s: the trainer of one neural network, compiled for it by dnngen.\n\n", a.net.Name)
	o.printf("Usage:\n  %s [COMMAND] [OPTION]...\n\nWithout a command it trains.\n\nCommands:\n", a.program)
	for _, c := range commands() {
		o.printf("  %-10s %s\n", c.name, c.short)
	}
	o.printf("\n'%s help COMMAND' explains a command and its options.\n", a.program)
	o.printf(`
Data sources:
  builtin:NAME                built-in data, such as builtin:digits/train
  FILE.csv[?label=COLUMN]     with or without a header, which is a first line that has
                              no number above a column of numbers; also .csv.gz
  FILE.npz                    x [rows, inputs] and y; FILE.npy is x alone
  IMAGES,LABELS               two IDX files, packed by gzip or not
  -                           CSV on standard input

Environment:
  %-15s  default of --device, but for bench, which times all
  %-15s  directory where data files are looked for after the working one
  %-15s  how messages call this program
  DNNGEN_CUBLASLT  off: NVIDIA's library cuBLASLt makes no product
  %-15s  always: all threads share each step, also where one of them is
                   faster because other programs take the others' cores
  NO_COLOR         set: no colours

Exit status:
  0 done, 1 failed, 2 wrong usage, 4 wrong data, 5 NaN or infinity in training,
  6 run directory, checkpoint or model unusable, 7 device or resources missing,
  129, 130 or 143 interrupted by SIGHUP, Ctrl-C or SIGTERM, with the state saved
`, device.Variable, dataVariable, commandVariable, pool.Variable)
	return nil
}

func (a *app) commandHelp(c *command, fs *flag.FlagSet) {
	o := a.stdout
	o.printf("Usage:\n  %s %s%s\n\n%s\n", a.program, c.name, spaced(c.args), c.long)
	titled := false
	fs.VisitAll(func(f *flag.Flag) {
		if !titled {
			o.printf("\nOptions:\n")
			titled = true
		}
		name, text := flag.UnquoteUsage(f)
		name = spaced(name)
		if takesTruth(f) && name != "" {
			name = "=" + name[1:]
		}
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		o.printf("  %-24s %s\n", dashed(f.Name)+name, strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", 27)))
	})
	if len(c.examples) > 0 {
		o.printf("\nExamples:\n")
		for _, e := range c.examples {
			o.printf("  %s%s\n", a.program, spaced(e))
		}
	}
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

var versionCommand = &command{
	name:  "version",
	short: "print the versions",
	long:  "Prints the network's name and the versions of dnngen and Go that made this program.",
	args:  "[--json]",
	define: func(a *app, fs *flag.FlagSet) func() error {
		asJSON := fs.Bool("json", false, "print one JSON object")
		return func() error {
			v := versions{a.net.Name, dnngenVersion(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if *asJSON {
				return a.stdout.object(v)
			}
			a.stdout.printf("%s, made by dnngen %s, %s %s\n", v.Name, v.Dnngen, v.Go, v.Platform)
			return nil
		}
	},
}

// versions is what version prints as JSON.
type versions struct {
	Name     string `json:"name"`
	Dnngen   string `json:"dnngen"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

const modulePath = "github.com/dnngen/dnngen"

// dnngenVersion returns the version of this module that is linked in.
func dnngenVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown version)"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == modulePath && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
}
