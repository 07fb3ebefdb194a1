// SPDX-License-Identifier: MIT

package bitnet

// #include "calls.h"
import "C"

import (
	"runtime"
	"sync"
)

// A Pool is threads that compute, which engines of several models may share: they take turns, a pass at a time. Engines
// that use it keep what they need of it.
type Pool struct {
	mutex sync.RWMutex // held for writing by Close
	c     *C.bitnet_pool
}

// NewPool makes a pool.
func NewPool(options *PoolOptions) (*Pool, error) {
	var memory scratch
	defer memory.free()
	c, err := options.c(&memory)
	if err != nil {
		return nil, err
	}
	p := &Pool{}
	if err := call(func() C.bitnet_status { return C.bitnet_pool_create(&c, &p.c) }); err != nil {
		return nil, err
	}
	runtime.SetFinalizer(p, (*Pool).Close)
	return p, nil
}

// Close lets go of the pool. It always returns nil.
func (p *Pool) Close() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	C.bitnet_pool_free(p.c)
	p.c = nil
	return nil
}

// use calls with the pool, or with NULL for nil.
func (p *Pool) use(function func(*C.bitnet_pool) error) error {
	if p == nil {
		return function(nil)
	}
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	if p.c == nil {
		return poolClosed
	}
	return function(p.c)
}

// An Engine computes what its sessions ask for at the same time, in one pass over the weights. It is for programs that want
// another one than the model's own. Sessions that use it keep what they need of it.
type Engine struct {
	mutex sync.RWMutex // held for writing by Close
	c     *C.bitnet_engine
	model *Model
}

// NewEngine makes an engine. The threads of the pool compute; nil means what the options say.
func (m *Model) NewEngine(options *EngineOptions, pool *Pool) (*Engine, error) {
	var memory scratch
	defer memory.free()
	c, err := options.c(&memory)
	if err != nil {
		return nil, err
	}
	e := &Engine{model: m}
	err = m.use(func(model *C.bitnet_model) error {
		return pool.use(func(pool *C.bitnet_pool) error {
			c.pool = pool
			if err := call(func() C.bitnet_status { return C.bitnet_engine_create(model, &c, &e.c) }); err != nil {
				return err
			}
			m.base.acquire()
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(e, (*Engine).Close)
	return e, nil
}

// EngineMemory tells the bytes that an engine takes besides the model and its sessions.
func (m *Model) EngineMemory(options *EngineOptions) (uint64, error) {
	var memory scratch
	defer memory.free()
	o, err := options.c(&memory)
	if err != nil {
		return 0, err
	}
	var bytes C.uint64_t
	err = m.use(func(model *C.bitnet_model) error {
		return call(func() C.bitnet_status { return C.bitnet_engine_memory(model, &o, &bytes) })
	})
	return uint64(bytes), err
}

// Model is of whose sessions the engine is.
func (e *Engine) Model() *Model { return e.model }

// NewSession makes an empty session that this engine computes for.
func (e *Engine) NewSession(options *SessionOptions) (*Session, error) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	if e.c == nil {
		return nil, engineClosed
	}
	return e.model.newSession(options, e.c)
}

// Trim gives memory back that the engine does not need at the moment: as Model.Trim.
func (e *Engine) Trim() (uint64, error) {
	e.mutex.RLock()
	defer e.mutex.RUnlock()
	if e.c == nil {
		return 0, engineClosed
	}
	return e.model.trim(e.c)
}

// Trim has the model's own engine give memory back that it does not need at the moment: what it keeps of prompts, whose bytes
// it returns, and its work space.
func (m *Model) Trim() (uint64, error) { return m.trim(nil) }

func (m *Model) trim(engine *C.bitnet_engine) (uint64, error) {
	var bytes C.uint64_t
	err := m.use(func(model *C.bitnet_model) error {
		return call(func() C.bitnet_status { return C.bitnet_engine_trim(model, engine, &bytes) })
	})
	return uint64(bytes), err
}

// Close lets go of the engine. It always returns nil.
func (e *Engine) Close() error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.c != nil {
		C.bitnet_engine_free(e.c)
		e.c = nil
		e.model.base.release()
	}
	return nil
}
