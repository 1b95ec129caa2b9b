package database

import (
	"container/list"
	"context"
	"database/sql"
	"sync"
)

// maxStatements bounds the cache of one pool. Texts with lists of values come in any
// number of lengths, so without a bound it would only grow.
const maxStatements = 500

// statements keeps prepared statements by their text, the most recently used ones.
// database/sql prepares a statement again on each connection that needs it.
type statements struct {
	pool *sql.DB

	mu    sync.Mutex
	byKey map[string]*list.Element // of *statement
	used  *list.List               // the most recently used one first
}

// statement is closed when it is no longer cached and no longer being started. Rows
// that are still read from it keep it alive inside database/sql.
type statement struct {
	text   string
	stmt   *sql.Stmt
	users  int
	cached bool
}

func newStatements(pool *sql.DB) *statements {
	return &statements{pool: pool, byKey: map[string]*list.Element{}, used: list.New()}
}

// cached is the statement if it was prepared before, else nil. It must be released.
func (c *statements) cached(text string) *statement {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[text]
	if !ok {
		return nil
	}
	c.used.MoveToFront(e)
	s := e.Value.(*statement)
	s.users++
	return s
}

// prepare is the statement, prepared now if it was not. It must be released.
func (c *statements) prepare(ctx context.Context, text string) (*statement, error) {
	if s := c.cached(text); s != nil {
		return s, nil
	}
	stmt, err := c.pool.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[text]; ok { // another caller was faster
		_ = stmt.Close() //nolint:sqlclosecheck // only this one is not kept
		s := e.Value.(*statement)
		s.users++
		return s, nil
	}
	s := &statement{text: text, stmt: stmt, users: 1, cached: true}
	c.byKey[text] = c.used.PushFront(s)
	for c.used.Len() > maxStatements {
		c.evict(c.used.Back())
	}
	return s, nil
}

func (c *statements) release(s *statement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.users--
	if s.users == 0 && !s.cached {
		_ = s.stmt.Close()
	}
}

// forget drops a statement that the database no longer knows.
func (c *statements) forget(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[text]; ok {
		c.evict(e)
	}
}

// evict is called with mu held.
func (c *statements) evict(e *list.Element) {
	s := c.used.Remove(e).(*statement)
	delete(c.byKey, s.text)
	s.cached = false
	if s.users == 0 {
		_ = s.stmt.Close() // what fails to close is gone with its connection
	}
}

func (c *statements) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.used.Len() > 0 {
		c.evict(c.used.Back())
	}
}
