// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

const prompt = "It was a fine morning, and"

var (
	background = context.Background()
	modelPath  = os.Getenv("BITNET_MODEL")
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string) *bitnet.Model {
	t.Helper()
	model, err := bitnet.Open(path, nil)
	check(t, err)
	t.Cleanup(func() { model.Close() })
	return model
}

func newSession(t testing.TB, model *bitnet.Model, options bitnet.SessionOptions) *bitnet.Session {
	t.Helper()
	options.Threads = 1
	session, err := model.NewSession(&options)
	check(t, err)
	t.Cleanup(func() { session.Close() })
	return session
}

func session(t testing.TB) *bitnet.Session {
	return newSession(t, open(t, modelPath), bitnet.SessionOptions{})
}

func golden(t testing.TB) string {
	text, err := os.ReadFile(os.Getenv("BITNET_GOLDEN"))
	check(t, err)
	return strings.TrimSuffix(string(text), "\n")
}

func read(t testing.TB, g *bitnet.Generation) string {
	t.Helper()
	var text strings.Builder
	for g.Next() {
		text.WriteString(g.Text())
	}
	check(t, g.Err())
	return text.String()
}

func write(t testing.TB, s *bitnet.Session, options bitnet.GenerateOptions) string {
	t.Helper()
	return read(t, s.Generate(background, prompt, &options))
}

func TestGeneratesWhatCDoes(t *testing.T) {
	s := session(t)
	g := s.Generate(background, prompt, &bitnet.GenerateOptions{MaxTokens: 100})
	if text := read(t, g); text != golden(t) {
		t.Errorf("%q", text)
	}
	if g.Finish() != bitnet.FinishMaxTokens || g.Next() || g.Err() != nil {
		t.Error(g.Finish(), g.Err())
	}
	held, err := s.Tokens()
	check(t, err)
	if len(g.Tokens()) != 100 || !reflect.DeepEqual(held[len(held)-100:], g.Tokens()) {
		t.Error(g.Tokens())
	}
}

func TestOpensFromMemory(t *testing.T) {
	data, err := os.ReadFile(modelPath)
	check(t, err)
	model, err := bitnet.OpenMemory(data, nil)
	check(t, err)
	for i := range data {
		data[i] = 0
	}
	s := newSession(t, model, bitnet.SessionOptions{})
	model.Close()
	runtime.GC()
	if write(t, s, bitnet.GenerateOptions{MaxTokens: 100}) != golden(t) {
		t.Error("another text")
	}
}

func TestOpensAPathWithOtherLetters(t *testing.T) {
	data, err := os.ReadFile(modelPath)
	check(t, err)
	path := filepath.Join(t.TempDir(), "Modèle 模型 🌍.bitnet")
	check(t, os.WriteFile(path, data, 0o600))
	open(t, path)
}

func TestInfo(t *testing.T) {
	model := open(t, modelPath)
	info, err := model.Info()
	check(t, err)
	if info.Name != "austen" || info.Vocabulary != 4096 || info.BOS != 0 || info.EOS != 1 || info.HasChatTemplate ||
		info.Packing != "i2" || info.ISA != bitnet.ISANames()[0] {
		t.Errorf("%+v", info)
	}
	metadata, err := model.Metadata()
	check(t, err)
	if metadata["general.license"] != "MIT" {
		t.Error(metadata)
	}
	if !model.IsEnd(info.EOS) || !model.IsControl(info.EOS) || model.IsEnd(300) {
		t.Error("control tokens")
	}
}

func TestErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.bitnet")
	check(t, os.WriteFile(bad, []byte("no model"), 0o600))
	for _, c := range []struct {
		path    string
		options *bitnet.OpenOptions
		want    error
	}{
		{"/missing ä", nil, bitnet.ErrNotFound},
		{"", nil, bitnet.ErrNotFound},
		{t.TempDir(), nil, bitnet.ErrIO},
		{bad, nil, bitnet.ErrFormat},
		{modelPath, &bitnet.OpenOptions{ISA: "nonsense"}, bitnet.ErrUnsupported},
		{modelPath, &bitnet.OpenOptions{GGUFPacking: 77}, bitnet.ErrArgument},
		{"a\x00b", nil, bitnet.ErrArgument},
	} {
		model, err := bitnet.Open(c.path, c.options)
		var detail *bitnet.Error
		if model != nil || !errors.Is(err, c.want) || !errors.As(err, &detail) || detail.Message == "" {
			t.Errorf("%q: %v", c.path, err)
		}
		if errors.Is(err, fs.ErrNotExist) != (c.want == bitnet.ErrNotFound) {
			t.Errorf("%q is fs.ErrNotExist or not: %v", c.path, err)
		}
	}
}

func TestNumbersHaveNames(t *testing.T) {
	if text := fmt.Sprint(bitnet.FinishStop, bitnet.Finish(77), bitnet.LogInfo); text != "stop string Finish(77) info" {
		t.Error(text)
	}
}

func TestOptionsOfOpening(t *testing.T) {
	for path, options := range map[string]bitnet.OpenOptions{
		modelPath:                      {ISA: "scalar", Verify: true},
		os.Getenv("BITNET_CHAT_MODEL"): {GGUFPacking: bitnet.PackingT5, GGUFHead: bitnet.HeadInt8},
	} {
		model, err := bitnet.Open(path, &options)
		check(t, err)
		info, err := model.Info()
		check(t, err)
		if options.ISA != "" && info.ISA != options.ISA || options.GGUFPacking != 0 && info.Packing+info.Head != "t5int8" {
			t.Errorf("%+v", info)
		}
		check(t, model.Close())
	}
}

func TestProgressAndLog(t *testing.T) {
	steps, lines := 0, 0
	model, err := bitnet.Open(modelPath, &bitnet.OpenOptions{
		Verify:   true,
		Progress: func(done, total uint64) error { steps++; return nil },
		Log:      func(level bitnet.LogLevel, message string) { lines++ },
	})
	check(t, err)
	model.Close()
	if steps == 0 || lines == 0 {
		t.Error(steps, lines)
	}
	_, err = bitnet.Open(modelPath, &bitnet.OpenOptions{Progress: func(done, total uint64) error { return fs.ErrPermission }})
	if err != fs.ErrPermission {
		t.Error(err)
	}
}

func TestAPanicInACallbackComesOut(t *testing.T) {
	for _, options := range []*bitnet.OpenOptions{
		{Progress: func(done, total uint64) error { panic("mine") }},
		{Log: func(level bitnet.LogLevel, message string) { panic("mine") }},
	} {
		func() {
			defer func() {
				if recover() != "mine" {
					t.Error("no panic")
				}
			}()
			bitnet.Open(modelPath, options)
		}()
	}
}

func TestText(t *testing.T) {
	model := open(t, modelPath)
	for _, text := range []string{"", prompt, "naïve — 🌍 日本", "\xff\xfe"} {
		tokens, err := model.Tokenize(text, 0)
		check(t, err)
		back, err := model.Detokenize(tokens, 0)
		check(t, err)
		if back != text {
			t.Errorf("%q became %q", text, back)
		}
	}
	tokens, err := model.Tokenize("a 🌍", bitnet.BOSEOS)
	check(t, err)
	if tokens[0] != 0 {
		t.Error(tokens)
	}
	decoder, err := model.NewDecoder(0)
	check(t, err)
	text := ""
	for _, token := range tokens {
		piece, err := decoder.Push(token)
		check(t, err)
		text += piece
	}
	rest, err := decoder.Finish()
	check(t, err)
	if text+rest != "a 🌍" {
		t.Errorf("%q", text)
	}
	if _, err := model.Detokenize([]bitnet.Token{-5}, 0); !errors.Is(err, bitnet.ErrArgument) {
		t.Error(err)
	}
}

func TestSamplingOptions(t *testing.T) {
	model := open(t, modelPath)
	text := func(options bitnet.SamplerOptions) string {
		s := newSession(t, model, bitnet.SessionOptions{})
		return write(t, s, bitnet.GenerateOptions{MaxTokens: 20, Sampler: &options})
	}
	greedy := text(bitnet.SamplerOptions{})
	hot := bitnet.SamplerOptions{Temperature: 1, Seed: 1}
	if text(hot) != text(hot) || text(hot) == text(bitnet.SamplerOptions{Temperature: 1, Seed: 2}) {
		t.Error("seed")
	}
	for _, same := range []bitnet.SamplerOptions{
		{Temperature: 1, Seed: 1, TopK: 1}, {Temperature: 1, Seed: 1, TopP: 1e-9}, {Temperature: 1, Seed: 1, MinP: 1},
	} {
		if text(same) != greedy {
			t.Errorf("%+v", same)
		}
	}
	first, err := model.Tokenize(" she", 0)
	check(t, err)
	for _, other := range []bitnet.SamplerOptions{
		{RepetitionPenalty: 1.9}, {FrequencyPenalty: 1.9}, {PresencePenalty: 1.9},
		{LogitBias: map[bitnet.Token]float32{first[0]: float32(math.Inf(-1)), 5: 0}},
	} {
		if text(other) == greedy {
			t.Errorf("%+v", other)
		}
	}
	narrow := bitnet.SamplerOptions{PresencePenalty: 1.9, PenaltyWindow: 1}
	if text(narrow) == text(bitnet.SamplerOptions{PresencePenalty: 1.9}) {
		t.Errorf("%+v", narrow)
	}
	for _, wrong := range []bitnet.SamplerOptions{{Temperature: -1}, {TopK: -1}, {PenaltyWindow: math.MaxInt64}} {
		g := session(t).Generate(background, prompt, &bitnet.GenerateOptions{Sampler: &wrong})
		if g.Next() || !errors.Is(g.Err(), bitnet.ErrArgument) {
			t.Errorf("%+v: %v", wrong, g.Err())
		}
	}
}

func TestStop(t *testing.T) {
	g := session(t).Generate(background, prompt, &bitnet.GenerateOptions{MaxTokens: 100, Stop: []string{"never", "\n\n"}})
	want, _, _ := strings.Cut(golden(t), "\n\n")
	if text := read(t, g); text != want || g.Finish() != bitnet.FinishStop {
		t.Errorf("%q", text)
	}
}

func TestFlags(t *testing.T) {
	model := open(t, modelPath)
	info, err := model.Info()
	check(t, err)
	end, err := model.Detokenize([]bitnet.Token{info.EOS}, bitnet.Special)
	check(t, err)
	forced := &bitnet.SamplerOptions{LogitBias: map[bitnet.Token]float32{info.EOS: 1000}}
	s := newSession(t, model, bitnet.SessionOptions{})
	g := s.Generate(background, prompt, &bitnet.GenerateOptions{MaxTokens: 2, Sampler: forced})
	if text := read(t, g); text != "" || g.Finish() != bitnet.FinishEndToken {
		t.Errorf("%q", text)
	}
	position := s.Position()
	options := bitnet.GenerateOptions{MaxTokens: 2, Sampler: forced, Whole: true, IgnoreEnd: true, SpecialOutput: true}
	if text := write(t, s, options); text != end+end || s.Position() != position+1 {
		t.Errorf("%q, %d tokens", text, s.Position())
	}
	check(t, s.Rewind(0))
	read(t, s.Generate(background, end, &bitnet.GenerateOptions{MaxTokens: 1, SpecialPrompt: true}))
	tokens, err := s.Tokens()
	check(t, err)
	if tokens[0] != info.EOS && tokens[1] != info.EOS {
		t.Error(tokens)
	}
}

func TestEvalSampleLogits(t *testing.T) {
	s := session(t)
	tokens := []bitnet.Token{0, 5, 6, 7}
	check(t, s.Eval(background, tokens, bitnet.LogitsAll))
	last, err := s.Logits(3)
	check(t, err)
	sampler, err := bitnet.NewSampler(nil)
	check(t, err)
	one, err := sampler.Sample(s)
	check(t, err)
	two, err := sampler.SampleLogits(last, nil)
	check(t, err)
	if one != two || len(last) != 4096 {
		t.Error(one, two)
	}
	check(t, s.Rewind(1))
	check(t, s.Eval(background, tokens[1:], bitnet.LogitsLast))
	again, err := s.Logits(0)
	check(t, err)
	held, err := s.Tokens()
	check(t, err)
	if !reflect.DeepEqual(again, last) || !reflect.DeepEqual(held, tokens) || s.Position() != 4 {
		t.Error("other logits or tokens")
	}
	if _, err := s.Logits(1); !errors.Is(err, bitnet.ErrArgument) {
		t.Error(err)
	}
	if perf, err := s.Perf(); err != nil || perf.PromptTokens != 7 {
		t.Error(perf, err)
	}
	s.ResetPerf()
}

func TestBatch(t *testing.T) {
	model := open(t, modelPath)
	var items []bitnet.BatchItem
	for i := 0; i < 3; i++ {
		items = append(items, bitnet.BatchItem{
			Session: newSession(t, model, bitnet.SessionOptions{}), Tokens: []bitnet.Token{5, 6, bitnet.Token(7 + i)},
		})
	}
	check(t, bitnet.EvalBatch(background, items))
	for _, item := range items {
		alone := newSession(t, model, bitnet.SessionOptions{})
		check(t, alone.Eval(background, item.Tokens, bitnet.LogitsLast))
		want, err := alone.Logits(0)
		check(t, err)
		if got, err := item.Session.Logits(0); err != nil || !reflect.DeepEqual(got, want) {
			t.Error("other logits", err)
		}
	}
	if err := bitnet.EvalBatch(background, append(items, items[0])); !errors.Is(err, bitnet.ErrArgument) {
		t.Error(err)
	}
	check(t, items[0].Session.Eval(background, []bitnet.Token{1}, bitnet.LogitsNone))
}

func TestState(t *testing.T) {
	model := open(t, modelPath)
	s := newSession(t, model, bitnet.SessionOptions{})
	write(t, s, bitnet.GenerateOptions{MaxTokens: 10})
	path := filepath.Join(t.TempDir(), "état 🌍")
	check(t, s.Save(path))
	other := newSession(t, model, bitnet.SessionOptions{})
	check(t, other.Load(path))
	third := newSession(t, model, bitnet.SessionOptions{})
	state, err := s.MarshalBinary()
	check(t, err)
	check(t, third.UnmarshalBinary(state))
	fork, err := s.Fork()
	check(t, err)
	want := write(t, s, bitnet.GenerateOptions{MaxTokens: 20})
	s.Close()
	for _, same := range []*bitnet.Session{other, third, fork} {
		if text := write(t, same, bitnet.GenerateOptions{MaxTokens: 20}); text != want {
			t.Errorf("%q, not %q", text, want)
		}
	}
	if err := other.UnmarshalBinary([]byte("no state")); !errors.Is(err, bitnet.ErrFormat) {
		t.Error(err)
	}
	stranger := newSession(t, open(t, os.Getenv("BITNET_CHAT_MODEL")), bitnet.SessionOptions{})
	if err := stranger.UnmarshalBinary(state); !errors.Is(err, bitnet.ErrMismatch) {
		t.Error(err)
	}
}

func TestChat(t *testing.T) {
	model := open(t, os.Getenv("BITNET_CHAT_MODEL"))
	messages := []bitnet.Message{{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Grüße!"}}
	text, err := model.ChatPrompt(messages, true)
	check(t, err)
	if text != "<|system|>Be brief.<|end|><|user|>Grüße!<|end|><|assistant|>" {
		t.Error(text)
	}
	s := newSession(t, model, bitnet.SessionOptions{})
	first := read(t, s.Chat(background, messages, &bitnet.GenerateOptions{MaxTokens: 5}))
	if again := read(t, s.Chat(background, messages, &bitnet.GenerateOptions{MaxTokens: 5})); again != first {
		t.Errorf("%q, then %q", first, again)
	}
	if _, err := open(t, modelPath).ChatPrompt(messages, true); !errors.Is(err, bitnet.ErrUnsupported) {
		t.Error(err)
	}
}

func TestConvertAndVerify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "neu.bitnet")
	steps := 0
	progress := func(done, total uint64) error { steps++; return nil }
	check(t, bitnet.Convert(os.Getenv("BITNET_CHAT_MODEL"), path, &bitnet.ConvertOptions{Packing: bitnet.PackingT5, Progress: progress}))
	check(t, bitnet.Verify(path, progress))
	if info, err := open(t, path).Info(); err != nil || info.Packing != "t5" || steps == 0 {
		t.Error(info, err, steps)
	}
	if err := bitnet.Verify(path, func(done, total uint64) error { return fs.ErrPermission }); err != fs.ErrPermission {
		t.Error(err)
	}
}

func TestContextThatIsTooSmall(t *testing.T) {
	g := newSession(t, open(t, modelPath), bitnet.SessionOptions{Context: 8}).Generate(background, prompt+prompt, nil)
	if g.Next() || !errors.Is(g.Err(), bitnet.ErrContext) {
		t.Error(g.Err())
	}
}

func TestIntegerCaches(t *testing.T) {
	model := open(t, modelPath)
	logitsOf := func(s *bitnet.Session) []float32 {
		check(t, s.Eval(background, []bitnet.Token{1, 2, 3}, bitnet.LogitsLast))
		logits, err := s.Logits(0)
		check(t, err)
		return logits
	}
	s := newSession(t, model, bitnet.SessionOptions{})
	f16 := logitsOf(s)
	for _, kind := range []bitnet.KV{bitnet.KVInt8, bitnet.KVInt16} {
		other := newSession(t, model, bitnet.SessionOptions{KV: kind})
		if reflect.DeepEqual(logitsOf(other), f16) {
			t.Error(kind, "gives the logits of an f16 cache")
		}
		state, err := other.MarshalBinary()
		check(t, err)
		if err := s.UnmarshalBinary(state); !errors.Is(err, bitnet.ErrMismatch) {
			t.Error(kind, err)
		}
	}
	var bytes []uint64
	for _, kind := range []bitnet.KV{bitnet.KVDefault, bitnet.KVF16, bitnet.KVInt8, bitnet.KVInt16} {
		memory, err := model.SessionMemory(&bitnet.SessionOptions{Threads: 1, Context: 20000, KV: kind})
		check(t, err)
		bytes = append(bytes, memory)
	}
	if bytes[0] != bytes[1] || bytes[2]*10 > bytes[1]*6 || bytes[3] <= bytes[1] || bytes[3]*10 > bytes[1]*11 {
		t.Error(bytes)
	}
}

// processorTimes tells the nanoseconds that each thread of this process has computed.
func processorTimes(t *testing.T) map[string]int {
	times := map[string]int{}
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	check(t, err)
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil { // or the thread has ended meanwhile
			times[file], err = strconv.Atoi(strings.Fields(string(text))[0])
			check(t, err)
		}
	}
	return times
}

func TestOneThreadGenerates(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	model := open(t, modelPath)
	others := processorTimes(t)
	s, err := model.NewSession(&bitnet.SessionOptions{Context: 600, Threads: 2, GenerationThreads: 1})
	check(t, err)
	defer s.Close()
	workers := processorTimes(t)
	if len(workers) == len(others) {
		t.Skip("there is one CPU")
	}
	check(t, s.Eval(background, []bitnet.Token{1, 2, 3}, bitnet.LogitsLast))
	before := processorTimes(t)
	for i := 0; i < 500; i++ {
		check(t, s.Eval(background, []bitnet.Token{3}, bitnet.LogitsLast))
	}
	took, most, worker := processorTimes(t), 0, 0
	for file := range took {
		time := took[file] - before[file]
		if time > most {
			most = time
		}
		_, other := others[file]
		if _, is := workers[file]; is && !other && time > worker {
			worker = time
		}
	}
	if worker >= most/2 {
		t.Errorf("%d of %d ns", worker, most)
	}
}

func TestOptionsOfSessionsOutOfRange(t *testing.T) {
	model := open(t, modelPath)
	for _, options := range []bitnet.SessionOptions{{Context: -1}, {Threads: -1}, {Batch: -1}, {GenerationThreads: -1}, {KV: 77}} {
		if _, err := model.NewSession(&options); !errors.Is(err, bitnet.ErrArgument) {
			t.Errorf("%+v: %v", options, err)
		}
	}
}

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
	if model.IsEnd(1) || s.Position() != 0 || s.Context() != 0 {
		t.Error("a closed object that knows something")
	}
}

func TestZeroValuesAreClosed(t *testing.T) {
	if _, err := new(bitnet.Model).Info(); err != bitnet.ErrClosed {
		t.Error(err)
	}
	if err := new(bitnet.Session).Eval(background, []bitnet.Token{1}, 0); err != bitnet.ErrClosed {
		t.Error(err)
	}
	if err := new(bitnet.Session).Chat(background, nil, nil).Err(); err != bitnet.ErrClosed {
		t.Error(err)
	}
	if _, err := new(bitnet.Decoder).Push(1); err != bitnet.ErrClosed {
		t.Error(err)
	}
	if err := new(bitnet.Sampler).Reseed(1); err != bitnet.ErrClosed {
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

func TestOpeningAThousandTimesDoesNotGrow(t *testing.T) {
	cycles := func(count int) int {
		for i := 0; i < count; i++ {
			model, err := bitnet.Open(modelPath, nil)
			check(t, err)
			s, err := model.NewSession(&bitnet.SessionOptions{Threads: 1, Context: 64})
			check(t, err)
			read(t, s.Generate(background, "It", &bitnet.GenerateOptions{MaxTokens: 1}))
			check(t, s.Close())
			check(t, model.Close())
		}
		runtime.GC()
		return residentBytes(t)
	}
	before := cycles(500)
	growth := cycles(1000) - before
	t.Logf("%d KiB more after 1,000 cycles", growth>>10)
	// What the race detector remembers grows by some MiB; one leaked object in each cycle is more.
	if growth > 8<<20 {
		t.Error("that is too much")
	}
}

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
