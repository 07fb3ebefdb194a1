// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"context"
	"testing"
	"time"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

// What tests/bindings/overhead.c measures, in Go.

func BenchmarkPosition(b *testing.B) {
	s := session(b)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		s.Position()
	}
}

func BenchmarkDetokenize(b *testing.B) {
	model := open(b, modelPath)
	tokens := []bitnet.Token{300}
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if _, err := model.Detokenize(tokens, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	const count = 200
	s := session(b)
	best := time.Hour
	for i := 0; i < b.N; i++ {
		check(b, s.Rewind(0))
		s.ResetPerf()
		ctx, cancel := context.WithCancel(background)
		start := time.Now()
		read(b, s.Generate(ctx, prompt, &bitnet.GenerateOptions{MaxTokens: count, IgnoreEnd: true}))
		wall := time.Since(start)
		cancel()
		perf, err := s.Perf()
		check(b, err)
		if own := (wall - perf.PromptTime - perf.GeneratedTime - perf.SampleTime) / count; own < best {
			best = own
		}
	}
	b.ReportMetric(float64(best.Nanoseconds()), "ns/op")
}

func BenchmarkCancel(b *testing.B) {
	s, tokens := longPrompt(b)
	worst := time.Duration(0)
	for i := 0; i < b.N; i++ {
		check(b, s.Rewind(0))
		ctx, cancel := context.WithCancel(background)
		var asked time.Time
		time.AfterFunc(200*time.Millisecond, func() {
			asked = time.Now()
			cancel()
		})
		if err := s.Eval(ctx, tokens, bitnet.LogitsLast); err != context.Canceled {
			b.Fatal(err)
		}
		if took := time.Since(asked); took > worst {
			worst = took
		}
	}
	b.ReportMetric(float64(worst.Nanoseconds()), "ns/op")
}
