package catalog

import (
	"path/filepath"
	"strings"
	"testing"
)

// The queries that run while records are many find their rows by an index
// and need no sorting, whatever the planner fancies.
func TestQueriesUseIndexes(t *testing.T) {
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "openams.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(t.Context(), func(tx *Tx) error {
		for _, query := range []string{
			"SELECT * FROM assets WHERE account = ? AND name_key = ?",
			"SELECT * FROM assets WHERE account = ? AND id = ?",
			"SELECT * FROM assets WHERE account = ? AND alternate_id = ? ORDER BY name_key, seq LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? AND (name_key, seq) > (?, ?) ORDER BY name_key, seq LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? AND (name_key, seq) < (?, ?) ORDER BY name_key DESC, seq DESC LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? AND (created, seq) > (?, ?) ORDER BY created, seq LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? AND created > ? AND (created, seq) > (?, ?) ORDER BY created, seq LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? AND alternate_id = ? ORDER BY created, seq LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? AND alternate_id = ? AND created > ? ORDER BY created, seq LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? ORDER BY id LIMIT 1001 OFFSET 7",
			"SELECT * FROM assets WHERE account = ? AND (id) > (?) ORDER BY id LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? AND (label, seq) > (?, ?) ORDER BY label, seq LIMIT 1001",
			"SELECT * FROM assets WHERE account = ? AND (label = ?) ORDER BY label, seq LIMIT 1001",
			"SELECT * FROM asset_files WHERE account = ? AND asset = ? AND name = ?",
			"SELECT * FROM v2_locators WHERE account = ? AND id = ?",
			"SELECT * FROM v2_locators WHERE account = ? AND asset = ?",
			"SELECT * FROM v2_locators WHERE account = ? ORDER BY id LIMIT 1001",
			"SELECT * FROM v2_locators WHERE account = ? AND (id) > (?) ORDER BY id LIMIT 1001",
			"SELECT seq FROM assets INDEXED BY assets_by_name WHERE account = ? AND +created > ? AND +label <> ? ORDER BY name_key, seq LIMIT 1001",
			"SELECT seq FROM assets INDEXED BY assets_by_created WHERE account = ? AND +name_key > ? AND +label = ? ORDER BY created, seq LIMIT 1001",
			"SELECT count(CASE WHEN account = ? AND +created > ? THEN 1 END) FROM assets WHERE seq IN (?, ?, ?)",
			"SELECT * FROM jobs WHERE account = ? AND transform_key = ? AND name_key = ?",
			"SELECT * FROM jobs WHERE account = ? AND transform_key = ? AND (name_key, seq) > (?, ?) ORDER BY name_key, seq LIMIT 1001",
			"SELECT * FROM jobs WHERE account = ? AND transform_key = ? AND (last_modified, seq) > (?, ?) ORDER BY last_modified, seq LIMIT 1001",
			"SELECT * FROM jobs WHERE account = ? ORDER BY id LIMIT 1001 OFFSET 7",
			"SELECT * FROM jobs WHERE account = ? AND (created, seq) < (?, ?) ORDER BY created DESC, seq DESC LIMIT 1001",
			"SELECT * FROM jobs WHERE account = ? AND (label = ?) ORDER BY label, seq LIMIT 1001",
			"SELECT * FROM jobs WHERE account = ? AND (state_number = ?) ORDER BY id LIMIT 1001",
			"SELECT * FROM tasks WHERE account = ? AND (state_number = ?) ORDER BY id LIMIT 1001",
			"SELECT * FROM tasks WHERE account = ? AND id = ?",
			"SELECT * FROM job_templates WHERE account = ? ORDER BY id LIMIT 1001",
			"SELECT * FROM task_templates WHERE account = ? AND template = ? ORDER BY position",
			"SELECT * FROM tasks WHERE job = ? AND waits > 0 AND state = 'Queued' ORDER BY position",
			"SELECT * FROM tasks WHERE job IN (?, ?, ?) ORDER BY job, position",
			"SELECT * FROM tasks WHERE state = 'Queued' AND waits = 0 AND +not_before <= ? ORDER BY rank DESC, seq LIMIT 1",
			"SELECT not_before FROM tasks WHERE state = 'Queued' AND not_before > ? ORDER BY not_before LIMIT 1",
			"SELECT * FROM tasks WHERE state IN ('Scheduled', 'Processing', 'Canceling') AND lease_end <= ? ORDER BY lease_end LIMIT 100",
			"SELECT * FROM streaming_locators WHERE account = ? AND asset_key = ?",
			"SELECT * FROM streaming_locators WHERE account = ? AND (end_time, seq) > (?, ?) ORDER BY end_time, seq LIMIT 1001",
			"SELECT * FROM operations WHERE status = ? AND resource_key = ? ORDER BY seq",
		} {
			args := make([]any, strings.Count(query, "?"))
			for i := range args {
				args[i] = 1
			}
			rows, err := tx.query("EXPLAIN QUERY PLAN "+query, args...)
			if err != nil {
				return err
			}
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					return err
				}
				// The queue's own index holds queued tasks alone, in order.
				scans := strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "USING INDEX tasks_queue")
				byPart := strings.Contains(query, "alternate_id") && !strings.Contains(detail, "alternate_id")
				if scans || byPart || strings.Contains(detail, "TEMP B-TREE") {
					t.Errorf("%s\n\t%s", query, detail)
				}
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
