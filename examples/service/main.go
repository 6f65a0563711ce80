// Command service tells penguins apart over HTTP. It trains the network that
// net.yaml describes when it starts, which takes about a second, and predicts
// inside a handler:
//
//	go run . -addr localhost:8080
//	curl -d '{"island":"Biscoe","bill_length_mm":50,"bill_depth_mm":15,"flipper_length_mm":220,"body_mass_g":5200}' localhost:8080/predict
//
// With -model FILE it takes the parameters from a file instead, such as one
// that -save FILE wrote.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	penguins "github.com/dnngen/dnngen/examples/service/internal/net"
)

//go:generate go run github.com/dnngen/dnngen/cmd/dnngen gen net.yaml -o internal/net

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run is the program: it serves until ctx is cancelled, and ends the requests
// under way.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "listen on `HOST:PORT`")
	file := flags.String("model", "", "load the parameters from `FILE` instead of training")
	save := flags.String("save", "", "write the parameters to `FILE`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	m, err := ready(ctx, *file, log)
	if err != nil {
		return err
	}
	defer m.Close()
	if *save != "" {
		if err := m.Save(*save); err != nil {
			return err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	log.Info("serving", "address", listener.Addr().String(), "device", m.Device())
	return serve(ctx, listener, handler(m, log))
}

// ready returns a model from a file, or trains one.
func ready(ctx context.Context, file string, log *slog.Logger) (*penguins.Model, error) {
	if file != "" {
		return load(os.DirFS(filepath.Dir(file)), filepath.Base(file))
	}
	start := time.Now()
	m, report, err := train(ctx)
	if err != nil {
		return nil, err
	}
	log.Info("trained", "seconds", time.Since(start).Seconds(), "steps", report.Steps, "accuracy", float64(*report.Test.Accuracy))
	return m, nil
}

// load makes a model from a file of a file system, which may be an embed.FS.
func load(files fs.FS, name string) (*penguins.Model, error) {
	m, err := penguins.Load(files, name)
	if err != nil {
		return nil, err
	}
	if m.Label(0) == "" {
		m.Close()
		return nil, fmt.Errorf("%s names neither islands nor species: it needs the preparation that -save writes", name)
	}
	return m, nil
}

// train makes a model from the built-in penguins, and keeps the parameters of
// the epoch that is best on the fifth of them that it is not trained on.
func train(ctx context.Context) (*penguins.Model, penguins.Report, error) {
	all, err := penguins.Open("builtin:penguins")
	if err != nil {
		return nil, penguins.Report{}, err
	}
	rows, test := penguins.Split(all, 0.2, 1)
	m, report, err := penguins.Train(ctx, rows, test, penguins.TrainOptions{KeepBest: true})
	if err != nil {
		if m != nil {
			m.Close()
		}
		return nil, report, err
	}
	return m, report, nil
}

// serve answers requests until ctx is cancelled; then it takes no more, and
// gives those under way some seconds to end.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
