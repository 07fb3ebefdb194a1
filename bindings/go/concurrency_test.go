// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

func TestGoroutinesShareAModel(t *testing.T) {
	model := open(t, modelPath)
	want := golden(t)
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		s := newSession(t, model, bitnet.SessionOptions{})
		group.Add(1)
		go func() {
			defer group.Done()
			g := s.Generate(background, prompt, &bitnet.GenerateOptions{MaxTokens: 100})
			text := ""
			for g.Next() {
				text += g.Text()
			}
			if text != want {
				t.Errorf("%q, %v", text, g.Err())
			}
		}()
	}
	group.Wait()
}

func TestGoroutinesShareASession(t *testing.T) {
	s := session(t)
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 20; j++ {
				if err := s.Eval(background, []bitnet.Token{3}, bitnet.LogitsLast); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
	if s.Position() != 80 {
		t.Error(s.Position())
	}
}

// longPrompt is a session, and more tokens than it computes in a second.
func longPrompt(t testing.TB) (*bitnet.Session, []bitnet.Token) {
	model := open(t, modelPath)
	tokens, err := model.Tokenize(strings.Repeat(prompt, 2500), 0)
	check(t, err)
	return newSession(t, model, bitnet.SessionOptions{Context: 20000}), tokens[:19000]
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// interrupts does action while call is at work, which then returns: after 100 ms of processor time at most, whatever else
// the machine does.
func interrupts(t *testing.T, action func(), call func()) {
	t.Helper()
	asked := make(chan time.Duration, 1)
	time.AfterFunc(300*time.Millisecond, func() {
		asked <- processorTime()
		action()
	})
	call()
	back := processorTime()
	select {
	case start := <-asked:
		if took := back - start; took > 100*time.Millisecond {
			t.Error(took)
		}
	default:
		t.Error("the call ended by itself")
	}
}

func TestCancellingALongPrompt(t *testing.T) {
	s, tokens := longPrompt(t)
	ctx, cancel := context.WithCancel(background)
	interrupts(t, cancel, func() {
		if err := s.Eval(ctx, tokens, bitnet.LogitsLast); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	if err := s.Eval(ctx, tokens[:1], bitnet.LogitsLast); !errors.Is(err, context.Canceled) || s.Position() != 0 {
		t.Error(err, s.Position())
	}
	ctx, cancel = context.WithTimeout(background, 300*time.Millisecond)
	defer cancel()
	if err := s.Eval(ctx, tokens, bitnet.LogitsLast); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	check(t, s.Eval(background, tokens[:3], bitnet.LogitsLast))
}

func TestCancellingAGeneration(t *testing.T) {
	s, tokens := longPrompt(t)
	ctx, cancel := context.WithCancel(background)
	g := s.GenerateTokens(ctx, tokens, nil)
	interrupts(t, cancel, func() {
		if g.Next() || !errors.Is(g.Err(), context.Canceled) {
			t.Error(g.Err())
		}
	})
	check(t, s.Rewind(0))
	check(t, s.Eval(background, tokens[:3], bitnet.LogitsLast))
}

func TestClosingASessionThatIsAtWork(t *testing.T) {
	s, tokens := longPrompt(t)
	interrupts(t, func() { s.Close() }, func() {
		if err := s.Eval(background, tokens, bitnet.LogitsLast); !errors.Is(err, bitnet.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestAForgottenGenerationLeavesNoGoroutine(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	s := session(t)
	before := runtime.NumGoroutine()
	for i := 0; i < 20; i++ {
		if g := s.Generate(ctx, "a", nil); !g.Next() {
			t.Fatal(g.Err())
		}
	}
	s.Close()
	for i := 0; runtime.NumGoroutine() > before; i++ {
		if i == 100 {
			t.Fatalf("%d goroutines, then %d", before, runtime.NumGoroutine())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAPanicInTheLoopLeavesTheSessionUsable(t *testing.T) {
	s := session(t)
	func() {
		defer func() {
			if recover() != "mine" {
				t.Error("no panic")
			}
		}()
		for g := s.Generate(background, prompt, nil); g.Next(); {
			panic("mine")
		}
	}()
	check(t, s.Rewind(0))
	if text := write(t, s, bitnet.GenerateOptions{MaxTokens: 100}); text != golden(t) {
		t.Errorf("%q", text)
	}
}

func TestChangingTheSessionEndsItsGeneration(t *testing.T) {
	s := session(t)
	g := s.Generate(background, prompt, nil)
	if !g.Next() {
		t.Fatal(g.Err())
	}
	check(t, s.Rewind(0))
	if g.Next() || !errors.Is(g.Err(), bitnet.ErrOver) {
		t.Error(g.Err())
	}
	write(t, s, bitnet.GenerateOptions{MaxTokens: 3})
}
