package odata

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Model declares what a service consists of.
type Model struct {
	Namespace string         `json:"namespace"` // of all its types
	Container string         `json:"container"` // name of the entity container
	Sets      []*EntitySet   `json:"sets"`
	Types     []*ComplexType `json:"types"`
	Functions []*Function    `json:"functions"`

	sets  map[string]*EntitySet
	types map[string]*ComplexType
}

// An EntitySet declares a set and the type of its entities.
type EntitySet struct {
	Name       string        `json:"name"`
	Type       string        `json:"type"`    // without the namespace
	Methods    []string      `json:"methods"` // HTTP methods it takes
	Navigation []*Navigation `json:"navigation"`
	Properties []*Property   `json:"properties"`

	key *Property
}

// A Navigation leads from an entity to those of a set.
type Navigation struct {
	Name     string `json:"name"`
	Set      string `json:"set"`
	Many     bool   `json:"many"`     // a collection; else one or none
	Links    bool   `json:"links"`    // $links can be written
	Deep     bool   `json:"deep"`     // an insert may bring new entities for it
	Bind     bool   `json:"bind"`     // an insert may refer to entities for it
	Required bool   `json:"required"` // an insert must

	// Via names the property that makes the relation: of the other entity,
	// with the key of this one, if Many; else of this one, with the key of
	// the other. The Server then follows it by itself. Empty: a Navigator
	// knows.
	Via string `json:"via"`
}

// An Access says when a client may set a property.
type Access string

// When a client may set a property. What it sends at other times is ignored,
// except that a change of a Create property is refused.
const (
	Read   Access = "read"
	Create Access = "create" // once, on insert
	Update Access = "update" // not on insert
	Write  Access = "write"
)

// A Property of an entity or a complex type.
type Property struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // "Edm.String", "Self.Type" or "Collection(…)" of these
	Key      bool   `json:"key"`
	Access   Access `json:"access"`
	Required bool   `json:"required"` // on insert
	Nullable bool   `json:"nullable"`
	Max      int    `json:"max"`     // characters; 0: no limit of its own
	Missing  int    `json:"missing"` // status if Required and missing; 0: 400
	Default  any    `json:"default"` // what an insert without it gets; nil: none
}

// A ComplexType is a type without a key.
type ComplexType struct {
	Name       string      `json:"name"`
	Properties []*Property `json:"properties"`
}

// A Function is a function (GET) or action (POST).
type Function struct {
	Name       string       `json:"name"`
	Method     string       `json:"method"`
	Set        string       `json:"set"` // of the entity it is called on; empty: of the service
	Parameters []*Parameter `json:"parameters"`
	Returns    string       `json:"returns"` // type; empty: nothing
}

// A Parameter of a function.
type Parameter struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// ID is the name by which a Config serves f: "CancelJob", or
// "StreamingEndpoints/Start" for one that is called on an entity.
func (f *Function) ID() string {
	if f.Set == "" {
		return f.Name
	}
	return f.Set + "/" + f.Name
}

// ParseModel reads a Model from JSON and checks it.
func ParseModel(b []byte) (*Model, error) {
	m := new(Model)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m.index()
	for _, c := range m.Types {
		if err := m.checkProperties(c.Name, c.Properties); err != nil {
			return nil, err
		}
	}
	for _, s := range m.Sets {
		if err := m.checkSet(s); err != nil {
			return nil, err
		}
	}
	for _, f := range m.Functions {
		if f.Set != "" && m.sets[f.Set] == nil {
			return nil, fmt.Errorf("model: function %s: no set %s", f.Name, f.Set)
		}
		if f.Returns != "" && !m.known(f.Returns) {
			return nil, fmt.Errorf("model: function %s: no type %s", f.Name, f.Returns)
		}
		for _, p := range f.Parameters {
			if !m.known(p.Type) {
				return nil, fmt.Errorf("model: function %s: no type %s", f.Name, p.Type)
			}
		}
	}
	return m, nil
}

func (m *Model) index() {
	m.sets, m.types = map[string]*EntitySet{}, map[string]*ComplexType{}
	for _, s := range m.Sets {
		m.sets[s.Name] = s
	}
	for _, c := range m.Types {
		m.types[c.Name] = c
	}
}

func (m *Model) checkSet(s *EntitySet) error {
	for _, p := range s.Properties {
		if p.Key {
			s.key = p
		}
	}
	if s.key == nil {
		return fmt.Errorf("model: set %s has no key", s.Name)
	}
	if s.key.Type != "Edm.String" && s.key.Type != "Edm.Guid" {
		return fmt.Errorf("model: set %s: a key of type %s", s.Name, s.key.Type)
	}
	for _, n := range s.Navigation {
		if m.sets[n.Set] == nil {
			return fmt.Errorf("model: %s/%s: no set %s", s.Name, n.Name, n.Set)
		}
		holder := s
		if n.Many {
			holder = m.sets[n.Set]
		}
		if n.Via != "" && holder.Property(n.Via) == nil {
			return fmt.Errorf("model: %s/%s: no property %s", s.Name, n.Name, n.Via)
		}
	}
	return m.checkProperties(s.Name, s.Properties)
}

func (m *Model) checkProperties(of string, props []*Property) error {
	for _, p := range props {
		if !m.known(p.Type) {
			return fmt.Errorf("model: %s/%s: no type %s", of, p.Name, p.Type)
		}
		switch p.Access {
		case Read, Create, Update, Write:
		default:
			return fmt.Errorf("model: %s/%s: access %q", of, p.Name, p.Access)
		}
		if p.Default != nil {
			v, err := m.convert(p.Type, p.Default, fromModel)
			if err != nil {
				return fmt.Errorf("model: %s/%s: %w", of, p.Name, err)
			}
			p.Default = v
		}
	}
	return nil
}

// Set finds a set by name; nil if there is none.
func (m *Model) Set(name string) *EntitySet { return m.sets[name] }

func (m *Model) known(typ string) bool {
	if e, ok := element(typ); ok {
		return !strings.HasPrefix(e, "Collection(") && m.known(e)
	}
	if name, ok := strings.CutPrefix(typ, "Self."); ok {
		return m.types[name] != nil
	}
	return scalars[typ]
}

var scalars = map[string]bool{"Edm.String": true, "Edm.Int16": true, "Edm.Int32": true, "Edm.Int64": true,
	"Edm.Double": true, "Edm.Boolean": true, "Edm.DateTime": true, "Edm.Time": true, "Edm.Guid": true}

// element is the T of Collection(T).
func element(typ string) (string, bool) {
	rest, ok := strings.CutPrefix(typ, "Collection(")
	return strings.TrimSuffix(rest, ")"), ok
}

// complex finds the complex type that typ names; nil for other types.
func (m *Model) complex(typ string) *ComplexType {
	name, ok := strings.CutPrefix(typ, "Self.")
	if !ok {
		return nil
	}
	return m.types[name]
}

// wire spells a type as clients read it.
func (m *Model) wire(typ string) string {
	return strings.Replace(typ, "Self.", m.Namespace+".", 1)
}

func (m *Model) function(set, name string) *Function {
	// Containers may be named too: WindowsAzureMediaServices.Publish.
	name = strings.TrimPrefix(name, m.Container+".")
	for _, f := range m.Functions {
		if f.Name == name && f.Set == set {
			return f
		}
	}
	return nil
}

// Key is the property that identifies an entity of s.
func (s *EntitySet) Key() *Property { return s.key }

// Property finds a property by name; nil if there is none.
func (s *EntitySet) Property(name string) *Property { return find(s.Properties, name) }

func find(props []*Property, name string) *Property {
	for _, p := range props {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (s *EntitySet) navigation(name string) *Navigation {
	for _, n := range s.Navigation {
		if n.Name == name {
			return n
		}
	}
	return nil
}

func (s *EntitySet) allows(method string) bool {
	if method == "PATCH" || method == "PUT" {
		method = "MERGE" // one verb in three spellings; see Updater
	}
	return slices.Contains(s.Methods, method) ||
		method == "MERGE" && (slices.Contains(s.Methods, "PUT") || slices.Contains(s.Methods, "PATCH"))
}

// served is m without the sets, functions and types that nothing serves.
func (m *Model) served(sets func(string) bool, functions func(string) bool) *Model {
	out := &Model{Namespace: m.Namespace, Container: m.Container}
	used := map[string]bool{}
	var use func(typ string)
	use = func(typ string) {
		if e, ok := element(typ); ok {
			typ = e
		}
		if c := m.complex(typ); c != nil && !used[c.Name] {
			used[c.Name] = true
			for _, p := range c.Properties {
				use(p.Type)
			}
		}
	}
	for _, s := range m.Sets {
		if !sets(s.Name) {
			continue
		}
		kept := *s
		kept.Navigation = slices.DeleteFunc(slices.Clone(s.Navigation), func(n *Navigation) bool { return !sets(n.Set) })
		for _, p := range s.Properties {
			use(p.Type)
		}
		out.Sets = append(out.Sets, &kept)
	}
	for _, f := range m.Functions {
		if functions(f.ID()) && (f.Set == "" || sets(f.Set)) {
			out.Functions = append(out.Functions, f)
			use(f.Returns)
		}
	}
	for _, c := range m.Types {
		if used[c.Name] {
			out.Types = append(out.Types, c)
		}
	}
	out.index()
	return out
}
