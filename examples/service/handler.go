package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"

	penguins "github.com/dnngen/dnngen/examples/service/internal/net"
)

// maxBody is far above what a row needs.
const maxBody = 4 << 10

// answer is what /predict gives.
type answer struct {
	Species       string             `json:"species"`
	Probabilities map[string]float32 `json:"probabilities"`
}

// failure is what a request that cannot be answered gives.
type failure struct {
	Error string `json:"error"`
}

// handler answers POST /predict, a row as JSON, and GET /healthz. The model is
// shared: its methods may be called by all requests at once.
func handler(m *penguins.Model, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /predict", func(w http.ResponseWriter, r *http.Request) {
		row, status, err := decode(w, r)
		if err != nil {
			reply(w, log, status, failure{err.Error()})
			return
		}
		p, err := m.PredictRow(row)
		if err != nil { // a value is missing, or an island is unknown
			reply(w, log, http.StatusUnprocessableEntity, failure{err.Error()})
			return
		}
		a := answer{Species: p.Label, Probabilities: map[string]float32{}}
		for class, probability := range p.Probs {
			a.Probabilities[m.Label(class)] = probability
		}
		reply(w, log, http.StatusOK, a)
	})
	return mux
}

// decode reads the row of a request. A number that the request leaves out stays
// NaN, which the model calls missing.
func decode(w http.ResponseWriter, r *http.Request) (*penguins.Row, int, error) {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		// curl -d calls everything a form.
		media, _, err := mime.ParseMediaType(kind)
		if err != nil || media != "application/json" && media != "application/x-www-form-urlencoded" {
			return nil, http.StatusUnsupportedMediaType, fmt.Errorf("the body is of type %q, not application/json", kind)
		}
	}
	nan := math.NaN()
	row := penguins.Row{BillLengthMm: nan, BillDepthMm: nan, FlipperLengthMm: nan, BodyMassG: nan}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(&row)
	if err == nil {
		// The end of the body is the only thing that may follow.
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return &row, 0, nil
		}
		if err == nil {
			err = errors.New("there is more than one value in the body")
		}
	}
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is longer than %d bytes", tooLong.Limit)
	}
	return nil, http.StatusBadRequest, fmt.Errorf("the body is no row as JSON: %w", err)
}

func reply(w http.ResponseWriter, log *slog.Logger, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Warn("the answer was not sent", "error", err)
	}
}
