package catalog

import "github.com/openams/openams/ams"

var endpoints = table[ams.StreamingEndpoint]{
	name: "streaming_endpoints", what: "streaming endpoint",
	columns: []column[ams.StreamingEndpoint]{
		{name: "account", at: func(e *ams.StreamingEndpoint) any { return &e.Account }},
		{name: "id", at: func(e *ams.StreamingEndpoint) any { return &e.ID }},
		{name: "name", at: func(e *ams.StreamingEndpoint) any { return &e.Name }},
		{name: "name_key", at: func(e *ams.StreamingEndpoint) any { return fold(e.Name) }, derived: true},
		{name: "host_name", at: func(e *ams.StreamingEndpoint) any { return &e.HostName }},
		{name: "state", at: func(e *ams.StreamingEndpoint) any { return &e.State }},
		{name: "created", at: func(e *ams.StreamingEndpoint) any { return &e.Created }},
		{name: "last_modified", at: func(e *ams.StreamingEndpoint) any { return &e.LastModified }},
	},
	rest: func(e *ams.StreamingEndpoint) map[string]any {
		return map[string]any{
			"location": &e.Location, "tags": &e.Tags, "description": &e.Description,
			"scaleUnits": &e.ScaleUnits, "body": &e.Body,
			"createdBy": &e.CreatedBy, "lastModifiedBy": &e.LastModifiedBy,
		}
	},
	fields: map[string]field{
		"name":         {column: "name_key", kind: folded, ops: all, order: true},
		"created":      {column: "created", kind: date, ops: all, order: true},
		"lastmodified": {column: "last_modified", kind: date, ops: all, order: true},
	},
}

// Endpoint finds a streaming endpoint of an account.
func (tx *Tx) Endpoint(account, name string) (*ams.StreamingEndpoint, error) {
	return endpoints.one(tx, "account = ? AND name_key = ?", account, fold(name))
}

// Endpoints lists the streaming endpoints of an account.
func (tx *Tx) Endpoints(account string, q Query) ([]*ams.StreamingEndpoint, string, error) {
	return endpoints.list(tx, q, "account = ?", account)
}

// InsertEndpoint adds a streaming endpoint; a taken name is Exists.
func (tx *Tx) InsertEndpoint(e *ams.StreamingEndpoint) error {
	_, err := endpoints.insert(tx, e)
	return err
}

// UpdateEndpoint rewrites the streaming endpoint of that account and name.
func (tx *Tx) UpdateEndpoint(e *ams.StreamingEndpoint) error {
	return endpoints.update(tx, e, "account = ? AND name_key = ?", e.Account, fold(e.Name))
}

// DeleteEndpoint deletes a streaming endpoint.
func (tx *Tx) DeleteEndpoint(account, name string) error {
	return endpoints.deleteOne(tx, "account = ? AND name_key = ?", account, fold(name))
}
