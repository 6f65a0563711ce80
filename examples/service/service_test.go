package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	penguins "github.com/dnngen/dnngen/examples/service/internal/net"
)

// files holds parameters that a training of this service left.
//
//go:embed testdata/model.safetensors
var files embed.FS

var update = flag.Bool("update", false, "write testdata/model.safetensors anew")

const (
	adelie    = `{"island":"Torgersen","bill_length_mm":39.1,"bill_depth_mm":18.7,"flipper_length_mm":181,"body_mass_g":3750}`
	chinstrap = `{"island":"Dream","bill_length_mm":50,"bill_depth_mm":19.5,"flipper_length_mm":196,"body_mass_g":3900}`
	gentoo    = `{"island":"Biscoe","bill_length_mm":50,"bill_depth_mm":15.3,"flipper_length_mm":220,"body_mass_g":5550}`
)

var quiet = slog.New(slog.DiscardHandler)

// newServer serves a model until the test ends.
func newServer(t *testing.T, m *penguins.Model) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler(m, quiet))
	t.Cleanup(s.Close)
	return s
}

func trained(t *testing.T) *penguins.Model {
	t.Helper()
	m, report, err := train(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	if accuracy := *report.Test.Accuracy; accuracy < 0.95 {
		t.Errorf("accuracy %v", accuracy)
	}
	return m
}

// post asks for a prediction.
func post(t *testing.T, s *httptest.Server, body string) (int, []byte) {
	t.Helper()
	r, err := http.Post(s.URL+"/predict", "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return r.StatusCode, b
}

func TestPredict(t *testing.T) {
	s := newServer(t, trained(t))
	for body, want := range map[string]string{adelie: "Adelie", chinstrap: "Chinstrap", gentoo: "Gentoo"} {
		status, b := post(t, s, body)
		var a answer
		if err := json.Unmarshal(b, &a); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %s, %v", body, status, b, err)
		}
		sum := float32(0)
		for _, p := range a.Probabilities {
			sum += p
		}
		if a.Species != want || a.Probabilities[want] < 0.5 || len(a.Probabilities) != 3 || sum < 0.999 || sum > 1.001 {
			t.Errorf("%s: got %+v, want %s", body, a, want)
		}
	}
	r, err := http.Get(s.URL + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusNoContent {
		t.Errorf("healthz gives %d", r.StatusCode)
	}
}

func TestBadRequests(t *testing.T) {
	m := trained(t)
	s := newServer(t, m)
	with := func(old, new string) string { return strings.Replace(gentoo, old, new, 1) }
	for _, test := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"nothing", "", http.StatusBadRequest, "EOF"},
		{"no JSON", "penguin", http.StatusBadRequest, "invalid character"},
		{"cut off", gentoo[:30], http.StatusBadRequest, "unexpected EOF"},
		{"an array", "[]", http.StatusBadRequest, "cannot unmarshal array"},
		{"text for a number", with("50", `"50"`), http.StatusBadRequest, "bill_length_mm"},
		{"a number for text", with(`"Biscoe"`, "3"), http.StatusBadRequest, "island"},
		{"a number out of range", with("50", "1e999"), http.StatusBadRequest, "bill_length_mm"},
		{"an unknown field", with("island", "isle"), http.StatusBadRequest, `unknown field`},
		{"two values", gentoo + gentoo, http.StatusBadRequest, "more than one value"},
		{"text behind", gentoo + "}", http.StatusBadRequest, "invalid character"},
		{"too long", `{"island":"` + strings.Repeat("x", maxBody) + `"}`, http.StatusRequestEntityTooLarge, "longer than"},
		{"a missing number", with(`"bill_length_mm":50,`, ""), http.StatusUnprocessableEntity, `feature \"bill_length_mm\" is missing`},
		{"a null", with("50", "null"), http.StatusUnprocessableEntity, `feature \"bill_length_mm\" is missing`},
		{"a missing island", with(`"island":"Biscoe",`, ""), http.StatusUnprocessableEntity, `feature \"island\" is missing`},
		{"an unknown island", with("Biscoe", "Mars"), http.StatusUnprocessableEntity, `\"Torgersen\"`},
		{"a number too large", with("50", "1e300"), http.StatusUnprocessableEntity, "too large"},
	} {
		status, b := post(t, s, test.body)
		var f failure
		if err := json.Unmarshal(b, &f); err != nil || f.Error == "" {
			t.Errorf("%s: the answer %q is no failure", test.name, b)
		}
		if status != test.status || !strings.Contains(string(b), test.want) {
			t.Errorf("%s: %d %s, want %d %s", test.name, status, b, test.status, test.want)
		}
	}
	for _, test := range []struct {
		method, path, kind string
		want               int
	}{
		{http.MethodGet, "/predict", "", http.StatusMethodNotAllowed},
		{http.MethodPost, "/", "", http.StatusNotFound},
		{http.MethodPost, "/predict", "text/csv", http.StatusUnsupportedMediaType},
		{http.MethodPost, "/predict", ";;", http.StatusUnsupportedMediaType},
	} {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(gentoo))
		r.Header.Set("Content-Type", test.kind)
		w := httptest.NewRecorder()
		handler(m, quiet).ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s %s of type %q gives %d, want %d", test.method, test.path, test.kind, w.Code, test.want)
		}
	}
}

func TestRequestsAtOnce(t *testing.T) {
	s := newServer(t, trained(t))
	bodies := []string{adelie, chinstrap, gentoo}
	want := make([][]byte, len(bodies))
	for i, body := range bodies {
		_, want[i] = post(t, s, body)
	}
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := range 20 {
				k := (c + i) % len(bodies)
				if status, b := post(t, s, bodies[k]); status != http.StatusOK || !bytes.Equal(b, want[k]) {
					t.Errorf("%d %s, want %s", status, b, want[k])
				}
			}
		})
	}
	clients.Wait()
}

// TestRequestsDuringTraining predicts while the same model is trained on.
func TestRequestsDuringTraining(t *testing.T) {
	m := trained(t)
	s := newServer(t, m)
	rows, err := penguins.Open("builtin:penguins")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var training sync.WaitGroup
	training.Go(func() {
		for ctx.Err() == nil {
			if _, err := m.Train(ctx, rows, nil, penguins.TrainOptions{Epochs: 1}); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		if status, b := post(t, s, gentoo); status != http.StatusOK || !bytes.Contains(b, []byte(`"species":"Gentoo"`)) {
			t.Errorf("%d %s", status, b)
		}
	}
	stop()
	training.Wait()
}

func TestEmbeddedModel(t *testing.T) {
	const name = "testdata/model.safetensors"
	if *update {
		if err := trained(t).Save(name); err != nil {
			t.Fatal(err)
		}
		return
	}
	m, err := load(files, name)
	if err != nil {
		t.Fatalf("%v: if the spec has changed, run the test with -update", err)
	}
	defer m.Close()
	all, err := penguins.Open("builtin:penguins")
	if err != nil {
		t.Fatal(err)
	}
	_, test := penguins.Split(all, 0.2, 1)
	metrics, err := m.Evaluate(t.Context(), test)
	if err != nil || *metrics.Accuracy < 0.95 {
		t.Errorf("accuracy %v, %v", metrics.Accuracy, err)
	}
	if status, b := post(t, newServer(t, m), gentoo); status != http.StatusOK || !bytes.Contains(b, []byte(`"species":"Gentoo"`)) {
		t.Errorf("%d %s", status, b)
	}
}

// TestRun starts the program, asks it, and ends it while a request is under
// way.
func TestRun(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "model.safetensors")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, []string{"-model", filepath.Join("testdata", "model.safetensors"), "-save", saved, "-addr", "127.0.0.1:0"}, io.Discard); err != nil {
		t.Errorf("a run that is cancelled gives %v", err)
	}
	m, err := load(os.DirFS(filepath.Dir(saved)), filepath.Base(saved))
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	for _, args := range [][]string{
		{"-nonsense"}, {"-model", "no/such/file"}, {"-model", "go.mod"},
		{"-model", saved, "-addr", "no address"}, {"-model", saved, "-save", filepath.Join(saved, "no")},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	if err := run(ctx, []string{"-addr", "127.0.0.1:0"}, io.Discard); err == nil {
		t.Error("a training that is cancelled serves")
	}
}

func TestModelsWithoutPreparation(t *testing.T) {
	m, err := penguins.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dir := t.TempDir()
	if err := m.Save(filepath.Join(dir, "m")); err != nil {
		t.Fatal(err)
	}
	if _, err := load(os.DirFS(dir), "m"); err == nil || !strings.Contains(err.Error(), "species") {
		t.Errorf("a model that knows no species gives %v", err)
	}
}

func TestShutdownEndsRequestsUnderWay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-leave
			w.WriteHeader(http.StatusTeapot)
		}))
	}()
	status := make(chan int, 1)
	go func() {
		r, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			status <- 0
			return
		}
		r.Body.Close()
		status <- r.StatusCode
	}()
	<-entered
	cancel()
	close(leave)
	if got := <-status; got != http.StatusTeapot {
		t.Errorf("the request under way ends with %d", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
