package catalog

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/openams/openams/ams"
)

// A table maps a noun to the rows of an SQL table that has, besides the
// columns named here, seq (the primary key) and rest (the JSON column).
type table[T any] struct {
	name     string // of the SQL table
	what     string // of the noun, in errors
	columns  []column[T]
	rest     func(*T) map[string]any                     // pointers to the fields that the columns do not hold
	fields   map[string]field                            // what $filter and $orderby may name, in lower case
	below    func(*Tx, []int64) (map[int64]int64, error) // bytes of other tables' rows that a list reads too, by seq; may be nil
	indexes  map[string]map[string]string                // of a large table in SQLite: by the column of an order, then by the column compared (plan.go)
	searched bool                                        // indexes are for Searches alone: lists have a narrower scope, with others

	properties map[string]field // what a Search may name, as the v2 API spells it
	key        string           // the property that is unique in the lists of a Search
}

// A column holds the field that at points to. A derived column is written
// and never read back: at returns its value.
type column[T any] struct {
	name    string
	at      func(*T) any
	derived bool
}

// insert adds v and returns its seq. A name that is taken is an Exists error,
// after which the transaction may go on.
func (t *table[T]) insert(tx *Tx, v *T) (int64, error) {
	names, args, err := t.values(v)
	if err != nil {
		return 0, err
	}
	var seq int64
	err = tx.queryRow("INSERT INTO "+t.name+" ("+strings.Join(names, ", ")+") VALUES (?"+
		strings.Repeat(", ?", len(names)-1)+") ON CONFLICT DO NOTHING RETURNING seq", args...).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ams.Errorf(ams.Exists, "The %s exists already.", t.what)
	}
	return seq, err
}

// update rewrites the row that where selects. No such row is NotFound.
func (t *table[T]) update(tx *Tx, v *T, where string, args ...any) error {
	names, values, err := t.values(v)
	if err != nil {
		return err
	}
	n, err := affected(tx.exec("UPDATE "+t.name+" SET "+strings.Join(names, " = ?, ")+" = ? WHERE "+where, append(values, args...)...))
	if err != nil && tx.db.dialect.duplicate(err) {
		return ams.Errorf(ams.Exists, "The %s exists already.", t.what)
	}
	if err == nil && n == 0 {
		return ams.Errorf(ams.NotFound, "The %s was not found.", t.what)
	}
	return err
}

// delete removes the rows that where selects and returns how many.
func (t *table[T]) delete(tx *Tx, where string, args ...any) (int64, error) {
	return affected(tx.exec("DELETE FROM "+t.name+" WHERE "+where, args...))
}

// deleteOne is delete, with NotFound for no row.
func (t *table[T]) deleteOne(tx *Tx, where string, args ...any) error {
	n, err := t.delete(tx, where, args...)
	if err == nil && n == 0 {
		return ams.Errorf(ams.NotFound, "The %s was not found.", t.what)
	}
	return err
}

// one reads the row that where selects. No such row is NotFound.
func (t *table[T]) one(tx *Tx, where string, args ...any) (*T, error) {
	v, _, err := t.oneSeq(tx, where, args...)
	return v, err
}

func (t *table[T]) oneSeq(tx *Tx, where string, args ...any) (*T, int64, error) {
	v := new(T)
	seq, _, err := t.scan(tx.queryRow(t.selects()+" WHERE "+where, args...), v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, ams.Errorf(ams.NotFound, "The %s was not found.", t.what)
	}
	if err != nil {
		return nil, 0, err
	}
	return v, seq, nil
}

// each calls f for every row of the SELECT that tail completes.
func (t *table[T]) each(tx *Tx, f func(seq int64, v *T) error, tail string, args ...any) error {
	return t.eachSize(tx, func(seq, _ int64, v *T) error { return f(seq, v) }, tail, args...)
}

// eachSize is each, with about how many bytes the row has.
func (t *table[T]) eachSize(tx *Tx, f func(seq, size int64, v *T) error, tail string, args ...any) error {
	rows, err := tx.query(t.selects()+" "+tail, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		v := new(T)
		seq, size, err := t.scan(rows, v)
		if err != nil {
			return err
		}
		if err := f(seq, size, v); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t *table[T]) selects() string {
	var b strings.Builder
	b.WriteString("SELECT seq, rest")
	for _, c := range t.columns {
		if !c.derived {
			b.WriteString(", " + c.name)
		}
	}
	b.WriteString(" FROM " + t.name)
	return b.String()
}

func (t *table[T]) scan(row interface{ Scan(...any) error }, v *T) (seq, size int64, err error) {
	var rest string
	dest := []any{&seq, &rest}
	for _, c := range t.columns {
		if c.derived {
			continue
		}
		at := c.at(v)
		if p, ok := at.(*time.Time); ok {
			at = (*instant)(p)
		}
		dest = append(dest, at)
	}
	if err := row.Scan(dest...); err != nil {
		return 0, 0, err
	}
	for _, at := range dest {
		switch at := at.(type) {
		case *string:
			size += int64(len(*at))
		case *[]byte:
			size += int64(len(*at))
		}
	}
	var kept map[string]json.RawMessage
	if err := json.Unmarshal([]byte(rest), &kept); err != nil {
		return 0, 0, fmt.Errorf("%s %d: %w", t.name, seq, err)
	}
	for name, at := range t.rest(v) {
		if b, ok := kept[name]; ok {
			if err := json.Unmarshal(b, at); err != nil {
				return 0, 0, fmt.Errorf("%s %d: %s: %w", t.name, seq, name, err)
			}
		}
	}
	return seq, size, nil
}

func (t *table[T]) values(v *T) (names []string, args []any, err error) {
	for _, c := range t.columns {
		at := c.at(v)
		if p, ok := at.(*time.Time); ok {
			at = ticks(*p)
		}
		names, args = append(names, c.name), append(args, at)
	}
	kept := t.rest(v)
	for name, at := range kept {
		if reflect.ValueOf(at).Elem().IsZero() {
			delete(kept, name)
		}
	}
	rest, err := json.Marshal(kept)
	if err != nil {
		return nil, nil, err
	}
	return append(names, "rest"), append(args, string(rest)), nil
}

// count is how many rows where selects.
func (t *table[T]) count(tx *Tx, where string, args ...any) (n int, err error) {
	return n, tx.queryRow("SELECT COUNT(*) FROM "+t.name+" WHERE "+where, args...).Scan(&n)
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// A flag is a boolean that is stored as 0 or 1.
type flag bool

func (f flag) Value() (driver.Value, error) {
	if f {
		return int64(1), nil
	}
	return int64(0), nil
}

// Scan implements sql.Scanner.
func (f *flag) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a flag is stored as %T", v)
	}
	*f = n != 0
	return nil
}

// tick is the unit of stored times. AMS and its clients count in 100 ns, and
// so the year 9999 of unlimited locators fits in 64 bits.
const tick = 100 * time.Nanosecond

// ticks is t as it is stored: 100 ns since 1970. The zero time is stored as
// itself, the year 1, so that columns of times have a total order.
func ticks(t time.Time) int64 { return t.Unix()*1e7 + int64(t.Nanosecond())/100 }

func fromTicks(n int64) time.Time {
	sec, rem := n/1e7, n%1e7
	if rem < 0 {
		sec, rem = sec-1, rem+1e7
	}
	return time.Unix(sec, rem*100).UTC()
}

// An instant scans a stored time.
type instant time.Time

func (i *instant) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T", v)
	}
	*i = instant(fromTicks(n))
	return nil
}

// fold maps names that differ in case alone to one key, by Unicode's simple
// case folding, in lower case so that keys sort as people expect.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if unicode.SimpleFold(least) == least {
			return r
		}
		return unicode.ToLower(least)
	}, name)
}
