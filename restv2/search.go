package restv2

import (
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/restv2/odata"
)

// search is q for the catalog.
func search(q *odata.Query) catalog.Search {
	return catalog.Search{Filter: q.Filter, Orders: q.Orders, Skip: q.Skip, Top: q.Top, After: q.After, Count: q.Count}
}

// page spells what a search found.
func page[T any](found *catalog.Found[T], err error, entity func(*T) odata.Entity) (*odata.Page, error) {
	if err != nil {
		return nil, err
	}
	p := &odata.Page{Entities: make([]odata.Entity, len(found.Rows)), Count: found.Count, Next: found.Next}
	for i, row := range found.Rows {
		p.Entities[i] = entity(row)
	}
	return p, nil
}

// optional is a text that is null where there is none.
func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}
