// Package metric measures how well a network's outputs agree with the targets,
// by the metrics that fit its loss.
package metric

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

// Number is a measured value. NaN stands for "not defined for this data", such
// as the AUC of rows that are all of one class; JSON has null for it.
type Number float64

// MarshalJSON writes null for NaN and the infinities.
func (v Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

// UnmarshalJSON reads null as NaN.
func (v *Number) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*v = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(v))
}

// Report holds what was measured. Metrics of another family than the network's
// are nil.
type Report struct {
	Rows int    `json:"rows"`
	Loss Number `json:"loss"` // the network's own loss

	// Of all classifiers.
	Accuracy *Number `json:"accuracy,omitempty"` // share of right answers; with several binary outputs their mean
	LogLoss  *Number `json:"log_loss,omitempty"` // mean negative log-likelihood in nats
	AUC      *Number `json:"auc,omitempty"`      // binary alone: area under the ROC curve, ties counted half; with several outputs the mean of those that have it

	// Of regression, on the transformed outputs where they have the width of
	// the targets, else on the raw ones. Mean over rows and outputs.
	MAE  *Number `json:"mae,omitempty"`
	RMSE *Number `json:"rmse,omitempty"`
	R2   *Number `json:"r2,omitempty"` // with several outputs the mean of those whose targets vary

	// Confusion counts rows by true class and by answer: Confusion[true][answer].
	// It is nil where there are several binary outputs.
	Confusion [][]int  `json:"confusion,omitempty"`
	Labels    []string `json:"labels,omitempty"` // of the classes, where the data names them
}

// Named is one number of a report.
type Named struct {
	Name  string
	Value float64
}

// Numbers returns the report's numbers in a fixed order, the loss first.
func (r Report) Numbers() []Named {
	list := []Named{{"loss", float64(r.Loss)}}
	for _, m := range []struct {
		name  string
		value *Number
	}{
		{"accuracy", r.Accuracy}, {"AUC", r.AUC}, {"log loss", r.LogLoss},
		{"MAE", r.MAE}, {"RMSE", r.RMSE}, {"R²", r.R2},
	} {
		if m.value != nil {
			list = append(list, Named{m.name, float64(*m.value)})
		}
	}
	return list
}

// Brief returns the report without the parts that grow with the number of
// classes.
func (r Report) Brief() Report {
	r.Confusion, r.Labels = nil, nil
	return r
}

// Of measures raw outputs raw [s.Rows, n.Outputs] against the targets of s. It
// panics where s has no targets or the sizes differ: both are checked where
// data is read.
func Of(n *engine.Network, raw []float32, s *data.Set) Report {
	var r Report
	r.Measure(n, raw, s)
	return r
}

// Measure is Of for a report that is done with: the matrix of many classes, which
// takes megabytes, is used again.
func (r *Report) Measure(n *engine.Network, raw []float32, s *data.Set) {
	if len(raw) != s.Rows*n.Outputs {
		panic(fmt.Sprintf("metric: %d raw outputs for %d rows of %d", len(raw), s.Rows, n.Outputs))
	}
	used := r.Confusion
	*r = Report{Rows: s.Rows, Loss: Number(n.LossOf(raw, s.Target, s.Rows))}
	switch n.Metrics {
	case "classes":
		r.Confusion = square(n.Outputs, used)
		classes(r, raw, s, n.Outputs)
	case "binary":
		if n.Outputs == 1 {
			r.Confusion = square(2, used)
		}
		binary(r, raw, s, n.Outputs)
	default:
		regression(r, n, raw, s)
	}
}

func number(v float64) *Number {
	n := Number(v)
	return &n
}
