package catalog

import (
	"context"
	"fmt"
	"strings"
)

// Check reads the whole of a SQLite catalog and fails with what is wrong with
// its pages, rows and indexes. PostgreSQL looks after its own.
func (db *DB) Check(ctx context.Context) error {
	if _, ok := db.dialect.(sqlite); !ok {
		return nil
	}
	rows, err := db.read.QueryContext(ctx, "PRAGMA integrity_check(20)")
	if err != nil {
		return fmt.Errorf("catalog: the database is damaged or cannot be read: %w", err)
	}
	defer rows.Close()
	var faults []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return fmt.Errorf("catalog: the database is damaged or cannot be read: %w", err)
		}
		if line != "ok" {
			faults = append(faults, line)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("catalog: the database is damaged or cannot be read: %w", err)
	}
	if len(faults) > 0 {
		return fmt.Errorf("catalog: the database is damaged: %s", strings.Join(faults, "; "))
	}
	return nil
}
