package catalog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"github.com/openams/openams/ams"
)

// KeptReports is of how many attempts at a task the reports are kept: the latest.
const KeptReports = 5

// maxReport bounds a report as JSON, bytes. Whoever makes one keeps far below.
const maxReport = 8 << 20

// SaveReport writes or rewrites the report of an attempt at a task. A task that
// is gone is NotFound.
func (tx *Tx) SaveReport(task string, r *ams.TaskReport) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(text) > maxReport {
		return fmt.Errorf("the report of a task has %d bytes", len(text))
	}
	var body bytes.Buffer
	w := gzip.NewWriter(&body)
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	n, err := affected(tx.exec(`INSERT INTO task_reports (task, attempt, body) SELECT id, ?, ? FROM tasks WHERE id = ?
		ON CONFLICT (task, attempt) DO UPDATE SET body = excluded.body`, r.Attempt, body.Bytes(), task))
	if err == nil && n == 0 {
		return ams.Errorf(ams.NotFound, "The task was not found.")
	}
	if err != nil {
		return err
	}
	_, err = tx.exec("DELETE FROM task_reports WHERE task = ? AND attempt <= ?", task, r.Attempt-KeptReports)
	return err
}

// Reports are the reports of the attempts at a task, the first attempt first.
func (tx *Tx) Reports(task string) ([]*ams.TaskReport, error) {
	rows, err := tx.query("SELECT body FROM task_reports WHERE task = ? ORDER BY attempt", task)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*ams.TaskReport
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		text, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("the report of the task %s: %w", task, err)
		}
		r := new(ams.TaskReport)
		if err := json.NewDecoder(io.LimitReader(text, maxReport)).Decode(r); err != nil {
			return nil, fmt.Errorf("the report of the task %s: %w", task, err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}
