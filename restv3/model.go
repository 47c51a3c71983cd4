package restv3

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// models.json is the project's own list of what clients write, from the facts
// of the API at its newest versions. It drives what a body is checked against
// (modelread.go) and how old api-versions see it (modelshow.go).
//
//go:embed models.json
var modelData []byte

// schema is models.json, compiled once.
var schema = sync.OnceValue(func() map[string]*model {
	models, err := parseModels(modelData)
	if err != nil {
		panic(err) // the file is part of the program; a test parses it
	}
	return models
})

// A model is one kind of JSON object.
type model struct {
	name     string
	kind     modelKind
	concrete map[string]*model  // a typed or abstract model: what @odata.type may say, in lower case without the prefix
	members  map[string]*member // by name in lower case: .NET's reader, and so AMS, did not look at case
	order    []*member          // as the file lists them
}

// A modelKind says what an object tells of its model.
type modelKind int

const (
	plainModel    modelKind = iota // nothing: its place says it
	typedModel                     // @odata.type names it
	abstractModel                  // @odata.type names one of its subtypes
	legacyModel                    // @odata.type named it before api-version 2021-11-01; later ones neither need nor send it
)

// A member is one property of a model.
type member struct {
	name     string
	envelope bool     // the object "properties" of a resource, which the file leaves out
	list     bool     // an array of what follows
	dict     bool     // an object with any names, of what follows
	scalar   string   // "string", "int32", "datetime" …; empty: model
	model    *model   // of the value
	enum     []string // values of a string
	required bool
	readOnly bool
	secret   bool
	since    string // api-version that brought it
	min, max *float64
	oneOf    []float64
}

// modelFile is models.json as it is written.
type modelFile struct {
	Enums  map[string][]string `json:"enums"`
	Models map[string]struct {
		Base       string          `json:"base"`
		Kind       string          `json:"kind"`
		Subtypes   []string        `json:"subtypes"`
		Resource   bool            `json:"resource"`
		Properties json.RawMessage `json:"properties"` // in order
	} `json:"models"`
}

type propertyFile struct {
	Type     string    `json:"type"`
	Enum     string    `json:"enum"`
	Required bool      `json:"required"`
	ReadOnly bool      `json:"readOnly"`
	Secret   bool      `json:"secret"`
	Since    string    `json:"since"`
	Min      *float64  `json:"min"`
	Max      *float64  `json:"max"`
	OneOf    []float64 `json:"oneOf"`
}

var kinds = map[string]modelKind{"": plainModel, "typed": typedModel, "abstract": abstractModel, "legacy": legacyModel}

// scalars are the types that are no models.
var scalars = map[string]bool{
	"string": true, "boolean": true, "int32": true, "int64": true, "float": true, "datetime": true,
	"duration": true, "position": true, "uuid": true, "base64": true, "any": true,
}

func parseModels(data []byte) (map[string]*model, error) {
	var file modelFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	models := map[string]*model{}
	for name, m := range file.Models {
		kind, ok := kinds[m.Kind]
		if !ok {
			return nil, fmt.Errorf("models.json: %s: kind %q", name, m.Kind)
		}
		models[name] = &model{name: name, kind: kind, members: map[string]*member{}}
	}
	for name, m := range file.Models {
		if err := models[name].parse(m.Properties, models, file.Enums); err != nil {
			return nil, fmt.Errorf("models.json: %s%w", name, err)
		}
	}
	for name := range file.Models {
		if m := models[name]; m.kind == typedModel || m.kind == abstractModel {
			m.concrete = map[string]*model{}
			below(name, &file, models, m.concrete)
		}
	}
	return models, nil
}

// below collects the typed models at and below name.
func below(name string, file *modelFile, models, into map[string]*model) {
	if models[name].kind == typedModel {
		into[strings.ToLower(name)] = models[name]
	}
	for _, sub := range file.Models[name].Subtypes {
		below(sub, file, models, into)
	}
}

// parse reads the properties of m. A name such as "properties/x" is x in the
// object properties, which becomes a model of its own.
func (m *model) parse(properties json.RawMessage, models map[string]*model, enums map[string][]string) error {
	d := json.NewDecoder(strings.NewReader(string(properties)))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		var p propertyFile
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf(".%s: %w", name, err)
		}
		into := m
		if envelope, rest, nested := strings.Cut(name, "/"); nested {
			name = rest
			outer := m.members[envelope]
			if outer == nil {
				outer = &member{name: envelope, envelope: true, model: &model{name: m.name + "." + envelope, members: map[string]*member{}}}
				m.add(outer)
			}
			into = outer.model
		}
		x, err := p.compile(name, models, enums)
		if err != nil {
			return fmt.Errorf(".%s: %w", name, err)
		}
		into.add(x)
	}
	return nil
}

func (m *model) add(x *member) {
	m.members[strings.ToLower(x.name)] = x
	m.order = append(m.order, x)
}

func (p *propertyFile) compile(name string, models map[string]*model, enums map[string][]string) (*member, error) {
	x := &member{
		name: name, required: p.Required, readOnly: p.ReadOnly, secret: p.Secret,
		since: p.Since, min: p.Min, max: p.Max, oneOf: p.OneOf,
	}
	of := p.Type
	if rest, ok := strings.CutPrefix(of, "array<"); ok {
		x.list, of = true, strings.TrimSuffix(rest, ">")
	} else if rest, ok := strings.CutPrefix(of, "map<"); ok {
		x.dict, of = true, strings.TrimSuffix(rest, ">")
	}
	switch {
	case scalars[of]:
		x.scalar = of
	case models[of] != nil:
		x.model = models[of]
	case p.ReadOnly:
		x.scalar = "any" // never read
	default:
		return nil, fmt.Errorf("type %q", p.Type)
	}
	if p.Enum != "" {
		if x.enum = enums[p.Enum]; x.enum == nil {
			return nil, fmt.Errorf("enum %q", p.Enum)
		}
	}
	return x, nil
}
