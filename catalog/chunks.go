package catalog

import (
	"database/sql"
	"errors"
	"time"
)

// A ChunkRecord is a part of a task that any worker may encode while the task is
// Processing. What the numbers mean is jobqueue's business.
type ChunkRecord struct {
	Task     string // guid
	Number   int    // within the task
	Mark     string // names the encode: only chunks of one mark fit together
	Frames   int64
	Done     int64 // of Frames
	Finished bool
	Attempt  int       // fencing number: rises each time a worker claims the chunk
	Worker   string    // empty: nobody has it
	LeaseEnd time.Time // when the worker is taken for dead
	Failures int       // workers that could not encode it
}

const chunkColumns = "task, number, mark, frames, done, finished, attempt, worker, lease_end, failures"

func scanChunk(scan func(...any) error) (*ChunkRecord, error) {
	c := new(ChunkRecord)
	return c, scan(&c.Task, &c.Number, &c.Mark, &c.Frames, &c.Done, (*flag)(&c.Finished), &c.Attempt, &c.Worker, (*instant)(&c.LeaseEnd), &c.Failures)
}

// SaveChunk writes or rewrites a chunk of a task that exists.
func (tx *Tx) SaveChunk(c *ChunkRecord) error {
	_, err := tx.exec("INSERT INTO chunks ("+chunkColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (task, number) DO UPDATE SET mark = excluded.mark, frames = excluded.frames, done = excluded.done, finished = excluded.finished,
		attempt = excluded.attempt, worker = excluded.worker, lease_end = excluded.lease_end, failures = excluded.failures`,
		c.Task, c.Number, c.Mark, c.Frames, c.Done, flag(c.Finished), c.Attempt, c.Worker, ticks(c.LeaseEnd), c.Failures)
	return err
}

// Chunks are the chunks of a task in their order.
func (tx *Tx) Chunks(task string) ([]*ChunkRecord, error) {
	rows, err := tx.query("SELECT "+chunkColumns+" FROM chunks WHERE task = ? ORDER BY number", task)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*ChunkRecord
	for rows.Next() {
		c, err := scanChunk(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// Chunk is a chunk of a task; nil if there is none of that number.
func (tx *Tx) Chunk(task string, number int) (*ChunkRecord, error) {
	return oneChunk(tx.queryRow("SELECT "+chunkColumns+" FROM chunks WHERE task = ? AND number = ?", task, number))
}

// NextChunk is the first chunk of a task that is not finished and that no living
// worker has; nil if there is none. An empty task stands for any that is
// Processing, and passes over chunks that a worker could not encode.
func (tx *Tx) NextChunk(task string) (*ChunkRecord, error) {
	which, args := "task = ?", []any{ticks(tx.now), task}
	if task == "" {
		which, args = "failures = 0 AND task IN (SELECT id FROM tasks WHERE state = 'Processing')", args[:1]
	}
	return oneChunk(tx.queryRow("SELECT "+chunkColumns+" FROM chunks WHERE finished = 0 AND lease_end <= ? AND "+which+
		" ORDER BY task, number LIMIT 1"+tx.db.dialect.claiming(), args...))
}

func oneChunk(row *sql.Row) (*ChunkRecord, error) {
	c, err := scanChunk(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return c, err
}

// DeleteChunks deletes the chunks of a task but those of a mark.
func (tx *Tx) DeleteChunks(task, but string) error {
	_, err := tx.exec("DELETE FROM chunks WHERE task = ? AND mark <> ?", task, but)
	return err
}
