package catalog

import (
	"crypto/sha256"
	"time"
)

// UseToken counts a use of a token, of which nothing is left to count from until
// on. It reports false, and counts nothing, if there were max uses.
func (tx *Tx) UseToken(token [sha256.Size]byte, max int64, until time.Time) (bool, error) {
	n, err := affected(tx.exec(`INSERT INTO token_uses (token, uses, until) VALUES (?, 1, ?)
		ON CONFLICT (token) DO UPDATE SET uses = token_uses.uses + 1 WHERE token_uses.uses < ?`, token[:], ticks(until), max))
	return n > 0, err
}

// ReturnToken takes a use of a token back.
func (tx *Tx) ReturnToken(token [sha256.Size]byte) error {
	_, err := tx.exec("UPDATE token_uses SET uses = uses - 1 WHERE token = ? AND uses > 0", token[:])
	return err
}

// ForgetTokens deletes the counts of at most n tokens that ended before t, and
// returns of how many.
func (tx *Tx) ForgetTokens(t time.Time, n int) (int64, error) {
	return affected(tx.exec("DELETE FROM token_uses WHERE token IN (SELECT token FROM token_uses WHERE until < ? LIMIT ?)", ticks(t), n))
}
