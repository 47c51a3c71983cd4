package restv3

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/openams/openams/restv3/arm"
)

// withoutLayerTypes is the api-version since which the layers of a codec come
// without @odata.type.
const withoutLayerTypes = "2021-11-01"

// showModel is raw, a value of the named model as readModel left it, as the
// api-version of r spells it.
func showModel(r *http.Request, name string, raw json.RawMessage) json.RawMessage {
	version := arm.Version(r)
	m := schema()[name]
	if len(raw) == 0 || arm.AtLeast(version, withoutLayerTypes) && arm.AtLeast(version, m.newest()) {
		return raw
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return raw
	}
	m.show(v, version)
	b, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return b
}

// newest is the api-version that brought the last member of m, a resource or
// a part of one; no member of a part came later than the layers lost theirs.
func (m *model) newest() string {
	newest := withoutLayerTypes
	for _, x := range m.order {
		newest = max(newest, x.since)
		if x.envelope {
			newest = max(newest, x.model.newest())
		}
	}
	return newest
}

// show changes v, an object of m, to what the api-version knew.
func (m *model) show(v any, version string) {
	object, ok := v.(map[string]any)
	if !ok {
		return
	}
	if t, ok := object["@odata.type"].(string); ok && m.concrete != nil {
		if sub := m.concrete[strings.ToLower(typeName(t))]; sub != nil {
			m = sub
		}
	}
	if m.kind == legacyModel && !arm.AtLeast(version, withoutLayerTypes) {
		object["@odata.type"] = discriminator + m.name
	}
	for _, x := range m.order {
		value, ok := object[x.name]
		if !ok {
			continue
		}
		if x.since != "" && !arm.AtLeast(version, x.since) {
			delete(object, x.name)
			continue
		}
		if x.model == nil {
			continue
		}
		switch value := value.(type) {
		case []any:
			for _, v := range value {
				x.model.show(v, version)
			}
		case map[string]any:
			if !x.dict {
				x.model.show(value, version)
				continue
			}
			for _, v := range value {
				x.model.show(v, version)
			}
		}
	}
}
