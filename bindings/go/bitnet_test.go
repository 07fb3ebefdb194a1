// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

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
	engine, err := model.NewEngine(&bitnet.EngineOptions{Threads: 1}, nil)
	check(t, err)
	defer engine.Close()
	session, err := engine.NewSession(&options)
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
		{t.TempDir(), nil, bitnet.ErrFormat},
		{bad, nil, bitnet.ErrFormat},
		{modelPath, &bitnet.OpenOptions{ISA: "nonsense"}, bitnet.ErrUnsupported},
		{modelPath, &bitnet.OpenOptions{Packing: 77}, bitnet.ErrArgument},
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
		os.Getenv("BITNET_CHAT_MODEL"): {Packing: bitnet.PackingT5, Head: bitnet.HeadInt8},
	} {
		model, err := bitnet.Open(path, &options)
		check(t, err)
		info, err := model.Info()
		check(t, err)
		if options.ISA != "" && info.ISA != options.ISA || options.Packing != 0 && info.Packing+info.Head != "t5int8" {
			t.Errorf("%+v", info)
		}
		check(t, model.Close())
	}
}

func TestChatTemplates(t *testing.T) {
	const source = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
	file := filepath.Join(t.TempDir(), "template ä")
	check(t, os.WriteFile(file, []byte(source), 0o600))
	if !strings.Contains(" "+strings.Join(bitnet.ChatTemplateNames(), " ")+" ", " chatml ") {
		t.Error(bitnet.ChatTemplateNames())
	}
	for _, template := range []string{"chatml", source, file} {
		model, err := bitnet.Open(os.Getenv("BITNET_CHAT_MODEL"), &bitnet.OpenOptions{ChatTemplate: template})
		check(t, err)
		text, err := model.ChatPrompt([]bitnet.Message{{Role: "user", Content: "Hi"}}, false)
		if err != nil || text != "<|im_start|>user\nHi<|im_end|>\n" {
			t.Errorf("%s: %q, %v", template, text, err)
		}
		info, err := model.Info()
		check(t, err)
		if info.ChatTemplateSource != "option" || !strings.Contains(info.ChatTemplate, "<|im_start|>") {
			t.Errorf("%+v", info)
		}
		check(t, model.Close())
	}
	for template, want := range map[string]error{"no such file": bitnet.ErrArgument, "a\x00b": bitnet.ErrArgument} {
		_, err := bitnet.Open(os.Getenv("BITNET_CHAT_MODEL"), &bitnet.OpenOptions{ChatTemplate: template})
		if !errors.Is(err, want) {
			t.Errorf("%q: %v", template, err)
		}
	}
}

func TestOptionsThatAreStored(t *testing.T) {
	target := filepath.Join(t.TempDir(), "new")
	lines := 0
	check(t, bitnet.Convert(os.Getenv("BITNET_CHAT_MODEL"), target, &bitnet.ConvertOptions{
		ChatTemplate: "chatml", Activation: bitnet.ActivationSiLU, I2S: bitnet.I2SAuto,
		Log: func(level bitnet.LogLevel, message string) { lines++ },
	}))
	info, err := open(t, target).Info()
	check(t, err)
	if info.ChatTemplateSource != "file" || !strings.Contains(info.ChatTemplate, "<|im_start|>") || info.Activation != "silu" {
		t.Errorf("%+v", info)
	}
	err = bitnet.Convert(target, target, &bitnet.ConvertOptions{ZstdLevel: 1<<32 + 3})
	if !errors.Is(err, bitnet.ErrArgument) || !strings.Contains(err.Error(), "ZstdLevel") {
		t.Error(err)
	}
}

func TestActivation(t *testing.T) {
	for activation, name := range map[bitnet.Activation]string{bitnet.ActivationReLU2: "relu2", bitnet.ActivationSiLU: "silu"} {
		model, err := bitnet.Open(os.Getenv("BITNET_CHAT_MODEL"), &bitnet.OpenOptions{Activation: activation})
		check(t, err)
		if info, err := model.Info(); err != nil || info.Activation != name {
			t.Error(info.Activation, err)
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
