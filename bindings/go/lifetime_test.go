// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

func TestUsingWhatIsClosed(t *testing.T) {
	model := open(t, modelPath)
	s := newSession(t, model, bitnet.SessionOptions{})
	g := s.Generate(background, prompt, nil)
	sampler, err := bitnet.NewSampler(nil)
	check(t, err)
	decoder, err := model.NewDecoder(0)
	check(t, err)
	for i := 0; i < 2; i++ {
		check(t, model.Close())
		check(t, s.Close())
		check(t, sampler.Close())
		check(t, decoder.Close())
	}
	for name, use := range map[string]func() error{
		"info":     func() error { _, err := model.Info(); return err },
		"tokenize": func() error { _, err := model.Tokenize("a", 0); return err },
		"session":  func() error { _, err := model.NewSession(nil); return err },
		"decoder":  func() error { _, err := decoder.Push(1); return err },
		"next":     func() error { g.Next(); return g.Err() },
		"eval":     func() error { return s.Eval(background, []bitnet.Token{1}, 0) },
		"batch":    func() error { return bitnet.EvalBatch(background, []bitnet.BatchItem{{Session: s}}) },
		"generate": func() error { return s.Generate(background, "a", nil).Err() },
		"fork":     func() error { _, err := s.Fork(); return err },
		"logits":   func() error { _, err := s.Logits(0); return err },
		"save":     func() error { _, err := s.MarshalBinary(); return err },
		"load":     func() error { return s.UnmarshalBinary(nil) },
		"rewind":   func() error { return s.Rewind(0) },
		"perf":     func() error { _, err := s.Perf(); return err },
		"sample":   func() error { _, err := sampler.SampleLogits([]float32{1}, nil); return err },
		"reseed":   func() error { return sampler.Reseed(1) },
	} {
		if err := use(); !errors.Is(err, bitnet.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := model.Info(); err.Error() != "bitnet: the model is closed" {
		t.Error(err)
	}
	if model.IsEnd(1) || s.Position() != 0 || s.Context() != 0 {
		t.Error("a closed object that knows something")
	}
}

// What stands right above a package clause is the package's documentation.
func TestTheLicenceIsNoDocumentation(t *testing.T) {
	packages, err := parser.ParseDir(token.NewFileSet(), ".", nil, parser.ParseComments|parser.PackageClauseOnly)
	check(t, err)
	for name, file := range packages["bitnet"].Files {
		if strings.Contains(file.Doc.Text(), "SPDX") {
			t.Errorf("%s: %s", name, file.Doc.Text())
		}
	}
}

func TestPrinting(t *testing.T) {
	model := open(t, modelPath)
	s := newSession(t, model, bitnet.SessionOptions{Context: 64})
	g := s.Generate(background, prompt, &bitnet.GenerateOptions{MaxTokens: 2})
	expect := func(value any, text string) {
		t.Helper()
		if printed := fmt.Sprint(value); printed != text {
			t.Errorf("%s, not %s", printed, text)
		}
	}
	info, err := model.Info()
	check(t, err)
	expect(model, fmt.Sprintf("Model[%s, %s, %d parameters]", info.Name, info.Architecture, info.Parameters))
	expect(s, "Session[0 of 64 tokens]")
	expect(g, "Generation[0 tokens, not finished]")
	for g.Next() {
		if strings.Contains(fmt.Sprint(s), "[0 of") {
			t.Error(s)
		}
	}
	expect(g, "Generation[2 tokens, as many tokens as asked for]")
	check(t, model.Close())
	check(t, s.Close())
	expect(model, "Model[closed]")
	expect(s, "Session[closed]")
	expect(&bitnet.Model{}, "Model[closed]")
	expect((*bitnet.Session)(nil), "<nil>")
}

func TestZeroValuesAreClosed(t *testing.T) {
	if _, err := new(bitnet.Model).Info(); !errors.Is(err, bitnet.ErrClosed) {
		t.Error(err)
	}
	if err := new(bitnet.Session).Eval(background, []bitnet.Token{1}, 0); !errors.Is(err, bitnet.ErrClosed) {
		t.Error(err)
	}
	if err := new(bitnet.Session).Chat(background, nil, nil).Err(); !errors.Is(err, bitnet.ErrClosed) {
		t.Error(err)
	}
	if _, err := new(bitnet.Decoder).Push(1); !errors.Is(err, bitnet.ErrClosed) {
		t.Error(err)
	}
	if err := new(bitnet.Sampler).Reseed(1); !errors.Is(err, bitnet.ErrClosed) {
		t.Error(err)
	}
	for _, nothing := range []interface{ Close() error }{
		new(bitnet.Model), new(bitnet.Session), new(bitnet.Decoder), new(bitnet.Sampler),
	} {
		check(t, nothing.Close())
	}
	if _, err := bitnet.OpenMemory(nil, nil); !errors.Is(err, bitnet.ErrFormat) {
		t.Error(err)
	}
}

// Nil where something must be is the caller's bug, which panics; nothing stays locked or running.
func TestNilPanics(t *testing.T) {
	s := session(t)
	sampler, err := bitnet.NewSampler(nil)
	check(t, err)
	var nobody context.Context
	for name, use := range map[string]func(){
		"model":    func() { (*bitnet.Model)(nil).Info() },
		"session":  func() { (*bitnet.Session)(nil).Position() },
		"sample":   func() { sampler.Sample(nil) },
		"batch":    func() { bitnet.EvalBatch(background, []bitnet.BatchItem{{Session: s}, {}}) },
		"eval":     func() { s.Eval(nobody, []bitnet.Token{1}, 0) },
		"generate": func() { s.Generate(nobody, prompt, nil) },
	} {
		func() {
			defer func() {
				if _, is := recover().(runtime.Error); !is {
					t.Errorf("%s: no panic", name)
				}
			}()
			use()
		}()
	}
	check(t, sampler.Reseed(1))
	if text := write(t, s, bitnet.GenerateOptions{MaxTokens: 100}); text != golden(t) {
		t.Errorf("%q", text)
	}
}

func residentBytes(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/statm")
	check(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	check(t, err)
	return pages * os.Getpagesize()
}

// A leak grows in each run of cycles. What an allocator or the race detector keeps for itself grows now and then, so the
// least of several runs counts.
func TestOpeningAThousandTimesDoesNotGrow(t *testing.T) {
	const runs, cycles, least = 5, 200, 1 << 20
	before := 0
	growth := math.MaxInt
	for run := 0; run < runs; run++ {
		for i := 0; i < cycles; i++ {
			model, err := bitnet.Open(modelPath, nil)
			check(t, err)
			engine, err := model.NewEngine(&bitnet.EngineOptions{Threads: 1}, nil)
			check(t, err)
			s, err := engine.NewSession(&bitnet.SessionOptions{Context: 64})
			check(t, err)
			check(t, engine.Close())
			read(t, s.Generate(background, "It", &bitnet.GenerateOptions{MaxTokens: 1}))
			check(t, s.Close())
			check(t, model.Close())
		}
		runtime.GC()
		now := residentBytes(t)
		if run > 0 {
			t.Logf("%d KiB more after %d cycles", (now-before)>>10, cycles)
			if now-before < growth {
				growth = now - before
			}
		}
		before = now
	}
	if growth > least { // 5 KiB each
		t.Error("each run of cycles takes more memory")
	}
}
