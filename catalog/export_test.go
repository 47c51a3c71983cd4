package catalog

// SearchAsIfLarge makes a few hundred rows many.
func (db *DB) SearchAsIfLarge() { db.fewRows = 10 }
