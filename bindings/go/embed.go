// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
import "C"

import (
	"context"
	"unsafe"
)

// Embed gives the embeddings of texts, which are computed together: texts whose meaning is alike have embeddings with a
// large dot product. The format of the options must be EmbedFloat.
func (m *Model) Embed(ctx context.Context, texts []string, options *EmbedOptions) ([][]float32, error) {
	return floats(options, func() ([][]byte, error) { return m.EmbedBytes(ctx, texts, options) })
}

// EmbedBytes is Embed in any format, as the bytes of each embedding; floats are in the order of bytes of this machine. When
// the context ends, it returns as soon as a layer is done, with the context's error.
func (m *Model) EmbedBytes(ctx context.Context, texts []string, options *EmbedOptions) ([][]byte, error) {
	return m.embed(ctx, texts, options, nil)
}

// Embed is Model.Embed by this engine.
func (e *Engine) Embed(ctx context.Context, texts []string, options *EmbedOptions) ([][]float32, error) {
	return floats(options, func() ([][]byte, error) { return e.EmbedBytes(ctx, texts, options) })
}

// EmbedBytes is Model.EmbedBytes by this engine.
func (e *Engine) EmbedBytes(ctx context.Context, texts []string, options *EmbedOptions) ([][]byte, error) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	if e.c == nil {
		return nil, engineClosed
	}
	return e.model.embed(ctx, texts, options, e.c)
}

func floats(options *EmbedOptions, embed func() ([][]byte, error)) ([][]float32, error) {
	if options != nil && options.Format != EmbedFloat {
		return nil, &Error{ErrArgument, "these embeddings are not of floats"}
	}
	all, err := embed()
	if err != nil {
		return nil, err
	}
	embeddings := make([][]float32, len(all))
	for i, bytes := range all {
		embeddings[i] = make([]float32, len(bytes)/4)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&embeddings[i][0])), len(bytes)), bytes)
	}
	return embeddings, nil
}

func (m *Model) embed(ctx context.Context, texts []string, options *EmbedOptions, engine *C.bitnet_engine) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var memory scratch
	defer memory.free()
	c, err := options.c(&memory)
	if err != nil {
		return nil, err
	}
	c.engine = engine
	var tokens []Token
	counts := make([]C.size_t, len(texts), len(texts)+1) // never empty memory
	for i, text := range texts {
		some, err := m.Tokenize(text, BOSEOS)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, some...)
		counts[i] = C.size_t(len(some))
	}

	stop := (*C.int)(memory.array(1, unsafe.Sizeof(C.int(0))))
	*stop = 0
	watched := onDone(ctx, func() { C.bitnet_go_stop(stop) })
	defer watched() // then nothing writes to the memory any more

	var size C.size_t
	var out []byte
	err = m.use(func(model *C.bitnet_model) error {
		if err := call(func() C.bitnet_status { return C.bitnet_embed_size(model, &c, &size) }); err != nil {
			return err
		}
		out = make([]byte, int(size)*len(texts)+1)
		return call(func() C.bitnet_status {
			data, _ := tokenPointer(tokens)
			return C.bitnet_go_embed(model, data, &counts[:1][0], C.size_t(len(texts)), &c, stop, unsafe.Pointer(&out[0]),
				C.size_t(len(out)))
		})
	})
	if err := ended(ctx, err); err != nil {
		return nil, err
	}
	embeddings := make([][]byte, len(texts))
	for i := range embeddings {
		embeddings[i] = out[i*int(size) : (i+1)*int(size) : (i+1)*int(size)]
	}
	return embeddings, nil
}
