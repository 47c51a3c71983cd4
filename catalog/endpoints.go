package catalog

import (
	"encoding/base64"
	"net"
	"strings"

	"github.com/openams/openams/ams"
)

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
			"scaleUnits": &e.ScaleUnits, "settings": &e.Settings,
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
	return tx.openEndpoint("account = ? AND name_key = ?", account, fold(name))
}

// EndpointByHost finds the streaming endpoint of any account that answers to
// the host, whose port does not matter.
func (tx *Tx) EndpointByHost(host string) (*ams.StreamingEndpoint, error) {
	return tx.openEndpoint("id = (SELECT endpoint FROM endpoint_hosts WHERE host = ?)", hostKey(host))
}

// Endpoints lists the streaming endpoints of an account.
func (tx *Tx) Endpoints(account string, q Query) ([]*ams.StreamingEndpoint, string, error) {
	list, next, err := endpoints.list(tx, q, "account = ?", account)
	for _, e := range list {
		if err := tx.openAkamai(e); err != nil {
			return nil, "", err
		}
	}
	return list, next, err
}

// CountEndpoints is how many streaming endpoints an account has.
func (tx *Tx) CountEndpoints(account string) (int, error) {
	return endpoints.count(tx, "account = ?", account)
}

// InsertEndpoint adds a streaming endpoint; a taken name is Exists, and so is
// a taken host name, with Target "properties.customHostNames".
func (tx *Tx) InsertEndpoint(e *ams.StreamingEndpoint) error {
	if _, err := endpoints.insert(tx, tx.sealAkamai(e)); err != nil {
		return err
	}
	return tx.setHosts(e)
}

// UpdateEndpoint rewrites the streaming endpoint of that account and name. A
// host name is taken as for InsertEndpoint.
func (tx *Tx) UpdateEndpoint(e *ams.StreamingEndpoint) error {
	if err := endpoints.update(tx, tx.sealAkamai(e), "account = ? AND name_key = ?", e.Account, fold(e.Name)); err != nil {
		return err
	}
	return tx.setHosts(e)
}

// DeleteEndpoint deletes a streaming endpoint.
func (tx *Tx) DeleteEndpoint(account, name string) error {
	return endpoints.deleteOne(tx, "account = ? AND name_key = ?", account, fold(name))
}

// setHosts records the host names that lead to e.
func (tx *Tx) setHosts(e *ams.StreamingEndpoint) error {
	if _, err := tx.exec("DELETE FROM endpoint_hosts WHERE endpoint = ?", e.ID); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, h := range append([]string{e.HostName}, e.Settings.CustomHosts...) {
		key := hostKey(h)
		if key == "" || seen[key] {
			continue
		}
		seen[key] = true
		n, err := affected(tx.exec("INSERT INTO endpoint_hosts (host, endpoint) VALUES (?, ?) ON CONFLICT (host) DO NOTHING", key, e.ID))
		if err != nil {
			return err
		}
		if n == 0 {
			return &ams.Error{Code: ams.Exists, Target: "properties.customHostNames",
				Msg: "The host name '" + h + "' belongs to another streaming endpoint."}
		}
	}
	return nil
}

// hostKey is a host name as it is looked up: without port and final dot.
func hostKey(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func (tx *Tx) openEndpoint(where string, args ...any) (*ams.StreamingEndpoint, error) {
	e, err := endpoints.one(tx, where, args...)
	if err != nil {
		return nil, err
	}
	return e, tx.openAkamai(e)
}

// akamaiContext is what the Akamai keys of an endpoint are sealed for.
func akamaiContext(e *ams.StreamingEndpoint) string { return "akamai keys of endpoint " + e.ID }

// sealAkamai is e with sealed Akamai keys: they are shared secrets.
func (tx *Tx) sealAkamai(e *ams.StreamingEndpoint) *ams.StreamingEndpoint {
	if e.Settings.Access == nil || e.Settings.Access.Akamai == nil {
		return e
	}
	sealed, access, akamai := *e, *e.Settings.Access, *e.Settings.Access.Akamai
	akamai.Keys = append([]ams.AkamaiKey{}, akamai.Keys...)
	for i := range akamai.Keys {
		k := &akamai.Keys[i].Key
		*k = base64.StdEncoding.EncodeToString(tx.db.sealed(akamaiContext(e), []byte(*k)))
	}
	access.Akamai, sealed.Settings.Access = &akamai, &access
	return &sealed
}

func (tx *Tx) openAkamai(e *ams.StreamingEndpoint) error {
	if e.Settings.Access == nil || e.Settings.Access.Akamai == nil {
		return nil
	}
	for i := range e.Settings.Access.Akamai.Keys {
		k := &e.Settings.Access.Akamai.Keys[i].Key
		box, err := base64.StdEncoding.DecodeString(*k)
		if err != nil {
			return err
		}
		plain, err := tx.db.unsealed(akamaiContext(e), box)
		if err != nil {
			return err
		}
		*k = string(plain)
	}
	return nil
}
