package trainer

import (
	"flag"
	"io"

	"github.com/dnngen/dnngen/runtime/rundir"
)

var exportCommand = &command{
	name:  "export",
	short: "write a model in another format",
	args:  "--model FILE --safetensors FILE",
	long: `Writes the parameters of a model, a checkpoint or a run directory as safetensors
under PyTorch's names and layouts, with the preparation of the rows as metadata.`,
	examples: []string{"export --model runs/digits/001/checkpoint --safetensors digits.safetensors"},
	define: func(a *app, fs *flag.FlagSet) func() error {
		var model, target string
		var asJSON bool
		fs.StringVar(&model, "model", "", "the trained parameters in `FILE`: safetensors, a checkpoint or a run directory")
		fs.StringVar(&target, "safetensors", "", "write safetensors to `FILE`")
		fs.BoolVar(&asJSON, "json", false, "say what was written, as one JSON object")
		return func() error { return a.export(model, target, asJSON) }
	},
}

// exported is what export prints as JSON.
type exported struct {
	Event      string `json:"event"` // "export"
	Model      string `json:"model"`
	File       string `json:"file"`
	Format     string `json:"format"`
	Parameters int    `json:"parameters"`
}

func (a *app) export(model, target string, asJSON bool) error {
	if target == "" {
		return usage("--safetensors FILE is needed")
	}
	m, err := a.model(model)
	if err != nil {
		return err
	}
	defer m.Close()
	err = a.writeFile(target, func(w io.Writer) error { return rundir.EncodeModel(w, a.net, m) })
	if err != nil || !asJSON {
		return err
	}
	return a.stdout.object(exported{"export", model, target, "safetensors", parameters(a.net)})
}
