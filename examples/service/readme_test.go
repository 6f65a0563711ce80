package main

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"regexp"
	"testing"
)

// TestReadme: the answer in README.md is what the service gives, but for the last
// digits, which depend on the device.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^\$ curl -d '(.*)' localhost:8080/predict\n(.*)$`).FindSubmatch(text)
	if shown == nil {
		t.Fatal("README.md shows no request and its answer")
	}
	status, body := post(t, newServer(t, trained(t)), string(shown[1]))
	var got, want answer
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s, %v", status, body, err)
	}
	if err := json.Unmarshal(shown[2], &want); err != nil {
		t.Fatal(err)
	}
	same := got.Species == want.Species && len(got.Probabilities) == len(want.Probabilities)
	for name, p := range want.Probabilities {
		same = same && math.Abs(float64(got.Probabilities[name]-p)) <= 1e-4*float64(p)
	}
	if !same {
		t.Errorf("README.md shows\n%s\nand the service answers\n%s", shown[2], body)
	}
}
