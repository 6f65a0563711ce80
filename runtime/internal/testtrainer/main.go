// Command testtrainer is a trainer around a hand-written network, to try the
// runtime, its size and its start without the compiler.
package main

import (
	"os"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/trainer"
)

func main() {
	os.Exit(trainer.Main(testnet.New(testnet.Options{
		Name: "digits", Inputs: 64, Hidden: 32, Activation: "relu", Outputs: 10, Batch: 64,
		Loss: "cross_entropy", Output: "argmax", Momentum: 0.9, Epochs: 20,
		Data: engine.Data{
			Train: "builtin:digits/train", Test: "builtin:digits/test",
			Scale: engine.Scale{Kind: "divide", Factor: 16},
		},
	})))
}
