// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

func newChat(t *testing.T, options *bitnet.ChatOptions) *bitnet.Chat {
	s, err := open(t, os.Getenv("BITNET_CHAT_MODEL")).NewSession(nil)
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	c, err := s.NewChat(options)
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func readAll(t *testing.T, g *bitnet.Generation) string {
	text := ""
	for g.Next() {
		text += g.Text()
	}
	check(t, g.Err())
	return text
}

func history(t *testing.T, c *bitnet.Chat) []bitnet.Message {
	messages, err := c.Messages()
	check(t, err)
	return messages
}

func TestAChatKeepsItsHistory(t *testing.T) {
	c := newChat(t, nil)
	check(t, c.Add("system", "Be brief."))
	options := &bitnet.GenerateOptions{MaxTokens: 6}
	first := readAll(t, c.Send(background, "Hi", options))
	messages := history(t, c)
	expected := []bitnet.Message{{"system", "Be brief."}, {"user", "Hi"}, {"assistant", first}}
	if !reflect.DeepEqual(messages, expected) {
		t.Fatal(messages)
	}
	// The same as from nothing.
	if whole := readAll(t, newChat(t, nil).Session().Chat(background, messages[:2], options)); whole != first {
		t.Errorf("%q %q", whole, first)
	}
	if again := readAll(t, c.Regenerate(background, options)); again != first || len(history(t, c)) != 3 {
		t.Error(again)
	}
	prompt, err := c.Prompt()
	check(t, err)
	if prompt.Tokens == 0 || prompt.LeftOut != 0 || prompt.TokensNeeded <= prompt.Tokens {
		t.Error(prompt)
	}
	check(t, c.Insert(1, "user", "Grüße\x00!"))
	check(t, c.Remove(2, 2))
	expected = []bitnet.Message{{"system", "Be brief."}, {"user", "Grüße\x00!"}}
	if messages = history(t, c); !reflect.DeepEqual(messages, expected) {
		t.Error(messages)
	}
}

func TestWhatAChatSavesItLoads(t *testing.T) {
	c, other := newChat(t, nil), newChat(t, nil)
	check(t, c.Add("user", "Hi \"there\""))
	file := filepath.Join(t.TempDir(), "chat.json")
	check(t, c.Save(file))
	check(t, other.Load(file))
	text, err := json.Marshal(c)
	check(t, err)
	third := newChat(t, nil)
	check(t, json.Unmarshal(text, third))
	for _, each := range []*bitnet.Chat{other, third} {
		if !reflect.DeepEqual(history(t, each), history(t, c)) {
			t.Error(history(t, each))
		}
	}
	if err := other.Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, bitnet.ErrNotFound) {
		t.Error(err)
	}
}

func TestAReplyThatIsBrokenOffStaysAsFarAsItCame(t *testing.T) {
	c := newChat(t, nil)
	ctx, cancel := context.WithCancel(background)
	g := c.Send(ctx, "Hi", &bitnet.GenerateOptions{MaxTokens: 50})
	if !g.Next() {
		t.Fatal(g.Err())
	}
	text := g.Text()
	cancel()
	for g.Next() {
		text += g.Text()
	}
	if !errors.Is(g.Err(), context.Canceled) {
		t.Error(g.Err())
	}
	if messages := history(t, c); len(messages) != 2 || messages[1].Content != text {
		t.Error(messages, text)
	}
}

func TestAChatThatRefuses(t *testing.T) {
	c := newChat(t, &bitnet.ChatOptions{Fit: bitnet.ChatFitRefuse})
	long := make([]byte, 1<<20)
	for i := range long {
		long[i] = "ab "[i%3]
	}
	if g := c.Send(background, string(long), nil); g.Next() || !errors.Is(g.Err(), bitnet.ErrContext) {
		t.Error(g.Err())
	}
	if len(history(t, c)) != 0 {
		t.Error("the message stayed")
	}
	if err := c.Remove(5, 1); !errors.Is(err, bitnet.ErrArgument) {
		t.Error(err)
	}
	if _, err := c.Session().NewChat(&bitnet.ChatOptions{Reserve: -1}); !errors.Is(err, bitnet.ErrArgument) {
		t.Error(err)
	}
	check(t, c.Close())
	check(t, c.Close())
	if err := c.Add("user", "Hi"); !errors.Is(err, bitnet.ErrClosed) {
		t.Error(err)
	}
}
