// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

func TestEnginesShareAPool(t *testing.T) {
	model, chat := open(t, modelPath), open(t, os.Getenv("BITNET_CHAT_MODEL"))
	pool, err := bitnet.NewPool(&bitnet.PoolOptions{Threads: 2})
	check(t, err)
	defer pool.Close()
	engine, err := model.NewEngine(&bitnet.EngineOptions{Batch: 7}, pool)
	check(t, err)
	defer engine.Close()
	other, err := chat.NewEngine(nil, pool)
	check(t, err)
	defer other.Close()
	var group sync.WaitGroup
	for i := 0; i < 3; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			s, err := engine.NewSession(nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if text := write(t, s, bitnet.GenerateOptions{MaxTokens: 100}); text != golden(t) {
				t.Errorf("%q", text)
			}
		}()
	}
	s, err := other.NewSession(&bitnet.SessionOptions{Context: 64})
	check(t, err)
	for i := 0; i < 50; i++ {
		check(t, s.Eval(background, []bitnet.Token{1}, bitnet.LogitsLast))
	}
	check(t, s.Close())
	group.Wait()
}

func TestSessionsOutliveTheirEngineAndEnginesTheirPool(t *testing.T) {
	model := open(t, modelPath)
	pool, err := bitnet.NewPool(&bitnet.PoolOptions{Threads: 1})
	check(t, err)
	engine, err := model.NewEngine(nil, pool)
	check(t, err)
	check(t, pool.Close())
	s, err := engine.NewSession(&bitnet.SessionOptions{Priority: bitnet.PriorityBackground})
	check(t, err)
	defer s.Close()
	check(t, engine.Close())
	if text := write(t, s, bitnet.GenerateOptions{MaxTokens: 100}); text != golden(t) {
		t.Errorf("%q", text)
	}
	check(t, pool.Close())
	check(t, engine.Close())
	if _, err := engine.NewSession(nil); !errors.Is(err, bitnet.ErrClosed) || !strings.Contains(err.Error(), "engine") {
		t.Error(err)
	}
	if _, err := model.NewEngine(nil, pool); !errors.Is(err, bitnet.ErrClosed) || !strings.Contains(err.Error(), "pool") {
		t.Error(err)
	}
	large, err := model.EngineMemory(&bitnet.EngineOptions{Batch: 512})
	check(t, err)
	small, err := model.EngineMemory(&bitnet.EngineOptions{Batch: 8})
	check(t, err)
	if small == 0 || large <= small {
		t.Error(small, large)
	}
}

func TestABudgetOfKeysAndValues(t *testing.T) {
	model := open(t, modelPath)
	two, err := model.SessionMemory(&bitnet.SessionOptions{Context: 128})
	check(t, err)
	one, err := model.SessionMemory(&bitnet.SessionOptions{Context: 64})
	check(t, err)
	engine, err := model.NewEngine(&bitnet.EngineOptions{Threads: 1, KVBytes: 3 * (two - one)}, nil)
	check(t, err)
	defer engine.Close()
	s, err := engine.NewSession(&bitnet.SessionOptions{Context: 64, PrefixScope: 1})
	check(t, err)
	if _, err := engine.NewSession(&bitnet.SessionOptions{Context: 128}); !errors.Is(err, bitnet.ErrMemory) {
		t.Error(err)
	}
	check(t, s.Eval(background, make([]bitnet.Token, 64), bitnet.LogitsNone))
	check(t, s.Close())
	for _, kept := range []bool{true, false} {
		bytes, err := engine.Trim()
		check(t, err)
		if kept != (bytes > 0) {
			t.Error(kept, bytes)
		}
	}
	_, err = model.Trim()
	check(t, err)
	if _, err := model.NewEngine(&bitnet.EngineOptions{Overcommit: true}, nil); !errors.Is(err, bitnet.ErrArgument) {
		t.Error(err)
	}
}

func TestAnEngineOfAnotherModelsSessions(t *testing.T) {
	engine, err := open(t, modelPath).NewEngine(nil, nil)
	check(t, err)
	defer engine.Close()
	check(t, engine.Model().Close())
	if _, err := engine.NewSession(nil); !errors.Is(err, bitnet.ErrClosed) {
		t.Error(err)
	}
}

func threads(t *testing.T) int {
	tasks, err := os.ReadDir("/proc/self/task")
	check(t, err)
	return len(tasks)
}

// Goroutines that wait for their text have no threads of the system.
func TestManyGenerationsTakeFewThreads(t *testing.T) {
	const count = 64
	model := open(t, modelPath)
	engine, err := model.NewEngine(&bitnet.EngineOptions{Threads: 1}, nil)
	check(t, err)
	defer engine.Close()
	options := func(i int) *bitnet.GenerateOptions {
		return &bitnet.GenerateOptions{MaxTokens: 5 + i%7, Sampler: &bitnet.SamplerOptions{Temperature: 0.8, Seed: uint64(i)}}
	}
	texts := [2][count]string{}
	generate := func(kind, i int) {
		s, err := engine.NewSession(&bitnet.SessionOptions{Context: 64})
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		g := s.Generate(background, fmt.Sprintf("It was the %dth morning, and", i), options(i))
		for g.Next() {
			texts[kind][i] += g.Text()
		}
		if g.Err() != nil {
			t.Error(g.Err())
		}
	}
	for i := 0; i < count; i++ {
		generate(0, i)
	}
	before := threads(t)
	most := before
	var group sync.WaitGroup
	for i := 0; i < count; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			generate(1, i)
		}(i)
	}
	over := make(chan bool)
	go func() {
		group.Wait()
		close(over)
	}()
	for waiting := true; waiting; {
		select {
		case <-over:
			waiting = false
		case <-time.After(2 * time.Millisecond):
			if now := threads(t); now > most {
				most = now
			}
		}
	}
	if texts[0] != texts[1] {
		t.Error("other texts than each gives alone")
	}
	if most > before+count/2 {
		t.Errorf("%d threads, then %d", before, most)
	}
}
