// SPDX-License-Identifier: MIT
package bitnet_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	bitnet "github.com/libbitnet/libbitnet/bindings/go"
)

func TestEmbeds(t *testing.T) {
	model := open(t, modelPath)
	info, err := model.Info()
	check(t, err)
	texts := []string{prompt, "naïve — 🌍 日本", "a"}
	embeddings, err := model.Embed(background, texts, nil)
	check(t, err)
	for i, embedding := range embeddings {
		squares := 0.0
		for _, x := range embedding {
			squares += float64(x) * float64(x)
		}
		if len(embedding) != info.Hidden || math.Abs(squares-1) > 1e-5 {
			t.Error(len(embedding), squares)
		}
		alone, err := model.Embed(background, texts[i:i+1], nil)
		check(t, err)
		if !reflect.DeepEqual(alone[0], embedding) {
			t.Errorf("text %d is another one alone", i)
		}
	}
	engine, err := model.NewEngine(&bitnet.EngineOptions{Threads: 1, Batch: 5}, nil)
	check(t, err)
	defer engine.Close()
	same, err := engine.Embed(background, texts, nil)
	check(t, err)
	if !reflect.DeepEqual(same, embeddings) {
		t.Error("another engine gives others")
	}
	bits, err := engine.EmbedBytes(background, texts, &bitnet.EmbedOptions{Format: bitnet.EmbedInt1, Dimensions: 100})
	check(t, err)
	if len(bits) != 3 || len(bits[0]) != 13 || bits[1][0]>>7 == 1 != (embeddings[1][0] > 0) {
		t.Error(bits)
	}
	none, err := model.Embed(background, nil, nil)
	if err != nil || len(none) != 0 {
		t.Error(none, err)
	}
}

func TestWhatCannotBeEmbedded(t *testing.T) {
	model := open(t, modelPath)
	if _, err := model.Embed(background, []string{prompt}, &bitnet.EmbedOptions{MaxTokens: 2}); !errors.Is(err, bitnet.ErrContext) {
		t.Error(err)
	}
	cut := bitnet.EmbedOptions{MaxTokens: 2, Fit: bitnet.EmbedFitCut}
	_, err := model.Embed(background, []string{prompt}, &cut)
	check(t, err)
	if _, err := model.Embed(background, []string{prompt}, &bitnet.EmbedOptions{Format: bitnet.EmbedInt8}); !errors.Is(err, bitnet.ErrArgument) {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(background)
	cancel()
	if _, err := model.Embed(ended, []string{prompt}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
