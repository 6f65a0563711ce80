// Package shapes does not compile: each line that ends in a want comment has a
// wrong shape. The test of the service compares them with what the compiler
// says.
package shapes

import penguins "github.com/dnngen/dnngen/examples/service/internal/net"

func right(m *penguins.Model) {
	var x [penguins.Batch][penguins.Inputs]float32
	var y [penguins.Batch]int32
	_ = m.Step(&x, &y)
	_ = m.StepRows(x[:3], y[:3])
	_ = m.Predict(&x[0]).Probs[penguins.Outputs-1]
	_ = m.PredictBatch(x[:])
	_, _ = m.PredictRow(&penguins.Row{Island: "Dream", BillDepthMm: 17})
}

func wrong(m *penguins.Model) {
	var x [penguins.Batch][penguins.Inputs]float32
	var y [penguins.Batch]int32
	var narrow [penguins.Batch][penguins.Inputs - 1]float32
	var short [penguins.Batch - 1][penguins.Inputs]float32
	_ = m.Step(&narrow, &y)                           // want cannot use &narrow
	_ = m.Step(&short, &y)                            // want cannot use &short
	_ = m.Step(&x, &[penguins.Batch]float32{})        // want cannot use
	_ = m.Step(&x, &[penguins.Batch + 1]int32{})      // want cannot use
	_ = m.StepRows(narrow[:], y[:])                   // want cannot use narrow[:]
	_ = m.Predict(&narrow[0])                         // want cannot use
	_ = m.Predict(&[penguins.Inputs]float64{})        // want cannot use
	_ = m.PredictBatch(narrow[:])                     // want cannot use narrow[:]
	_ = m.Predict(&x[0]).Probs[penguins.Outputs]      // want out of bounds
	_, _ = m.PredictRow(&penguins.Row{Island: 3})     // want cannot use 3
	_, _ = m.PredictRow(&penguins.Row{Sex: "female"}) // want unknown field Sex
}
