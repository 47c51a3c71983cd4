// Package filter reads the $filter and $orderby options of both APIs, OData
// v4 literals of REST v3 and OData v3 literals of REST v2 alike, into one
// bounded tree. It knows the grammar and no entity: which fields exist and
// which operators they allow is the business of whoever compiles the tree
// (catalog, to SQL).
//
// Invariant: a tree that Parse returned prints, by String, as text that
// parses to the same tree.
package filter
