package restv3

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/filter"
	"github.com/openams/openams/restv3/arm"
)

// readModel reads the body of r, a model of models.json, into what into
// points to. What reaches into is checked and has one spelling:
//
//   - Members have the names of the model, whatever their case. Unknown and
//     read-only ones are gone, so are nulls.
//   - Values have their types, enums their own casing, numbers are in their
//     ranges, dates are UTC, GUIDs lower case; durations stay as they are.
//   - Required members are there, and every @odata.type names a model that
//     may stand there.
//
// A body that breaks a rule is a 400 whose target is the path of the member.
func readModel(r *http.Request, name string, into any) error {
	return readBody(r, name, false, into)
}

// readPatch is readModel for a PATCH: the resource and its properties may
// leave out required members, and a null there stays, to clear what it names.
func readPatch(r *http.Request, name string, into any) error {
	return readBody(r, name, true, into)
}

func readBody(r *http.Request, name string, patch bool, into any) error {
	body, err := arm.ReadBody(r)
	if err != nil {
		return err
	}
	checked, err := check(body, name, "", patch)
	if err != nil {
		return err
	}
	return arm.Decode(checked, into)
}

// checkModel is what readModel does, for the value at the path at of a body.
func checkModel(raw json.RawMessage, name, at string) (json.RawMessage, error) {
	return check(raw, name, at, false)
}

func check(raw json.RawMessage, name, at string, patch bool) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, arm.InvalidContent(at, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	c := &checker{patch: patch}
	if err := c.object(schema()[name], v, at, 0); err != nil {
		return nil, err
	}
	return c.out.Bytes(), nil
}

// A checker writes what it checks.
type checker struct {
	out   bytes.Buffer
	patch bool
}

// object checks v against m. depth 0 is the resource, 1 its properties.
func (c *checker) object(m *model, v any, at string, depth int) error {
	given, ok := v.(map[string]any)
	if !ok {
		return mistyped(at, "object", v)
	}
	c.out.WriteByte('{')
	first := true
	name := func(s string) {
		if !first {
			c.out.WriteByte(',')
		}
		first = false
		c.text(s)
		c.out.WriteByte(':')
	}
	if m.kind == typedModel || m.kind == abstractModel {
		var err error
		if m, err = m.choose(given, at); err != nil {
			return err
		}
		name("@odata.type")
		c.text(discriminator + m.name)
	}
	values := m.pick(given)
	for _, x := range m.order {
		at := join(at, x.name)
		v, ok := values[x]
		lenient := c.patch && depth < 2
		switch {
		case x.readOnly:
			continue
		case ok && v == nil && lenient && !x.envelope:
			name(x.name)
			c.out.WriteString("null")
			continue
		case !ok || v == nil:
			if x.required && !lenient {
				return ams.Invalidf(at, "The required property '%s' is missing.", x.name)
			}
			continue
		}
		name(x.name)
		if err := c.member(x, v, at, depth+1); err != nil {
			return err
		}
	}
	c.out.WriteByte('}')
	return nil
}

// choose finds the model that an object's @odata.type names.
func (m *model) choose(given map[string]any, at string) (*model, error) {
	at = join(at, "@odata.type")
	switch t := given["@odata.type"].(type) {
	case nil:
		return nil, ams.Invalidf(at, "The @odata.type is missing: one of %s.", strings.Join(m.types(), ", "))
	case string:
		if sub := m.concrete[strings.ToLower(typeName(t))]; sub != nil {
			return sub, nil
		}
		return nil, ams.Invalidf(at, "'%s' is not a type of %s: one of %s.", shorten(t), m.name, strings.Join(m.types(), ", "))
	default:
		return nil, mistyped(at, "string", t)
	}
}

func (m *model) types() []string {
	var names []string
	for _, sub := range m.concrete {
		names = append(names, discriminator+sub.name)
	}
	slices.Sort(names)
	return names
}

// pick finds the members of m in an object. Of two that differ in case the
// one with the right name wins.
func (m *model) pick(given map[string]any) map[*member]any {
	values := make(map[*member]any, len(given))
	for name, v := range given {
		if x := m.members[strings.ToLower(name)]; x != nil {
			if _, taken := values[x]; !taken || name == x.name {
				values[x] = v
			}
		}
	}
	return values
}

// member checks the value of x, which is not null.
func (c *checker) member(x *member, v any, at string, depth int) error {
	switch {
	case x.list:
		list, ok := v.([]any)
		if !ok {
			return mistyped(at, "array", v)
		}
		c.out.WriteByte('[')
		for i, v := range list {
			if i > 0 {
				c.out.WriteByte(',')
			}
			if err := c.value(x, v, fmt.Sprintf("%s[%d]", at, i), depth); err != nil {
				return err
			}
		}
		c.out.WriteByte(']')
		return nil
	case x.dict:
		dict, ok := v.(map[string]any)
		if !ok {
			return mistyped(at, "object", v)
		}
		c.out.WriteByte('{')
		for i, name := range sortedKeys(dict) {
			if i > 0 {
				c.out.WriteByte(',')
			}
			c.text(name)
			c.out.WriteByte(':')
			if err := c.value(x, dict[name], join(at, name), depth); err != nil {
				return err
			}
		}
		c.out.WriteByte('}')
		return nil
	}
	return c.value(x, v, at, depth)
}

// value checks one value of x, an element where x is a list.
func (c *checker) value(x *member, v any, at string, depth int) error {
	if x.model != nil {
		return c.object(x.model, v, at, depth)
	}
	switch x.scalar {
	case "any":
		return c.json(v)
	case "boolean":
		if _, ok := v.(bool); !ok {
			return mistyped(at, "boolean", v)
		}
		return c.json(v)
	case "int32", "int64", "float":
		n, ok := v.(json.Number)
		if !ok {
			return mistyped(at, "number", v)
		}
		return c.number(x, n, at)
	}
	s, ok := v.(string)
	if !ok {
		return mistyped(at, "string", v)
	}
	if x.enum != nil {
		for _, e := range x.enum {
			if strings.EqualFold(e, s) {
				c.text(e)
				return nil
			}
		}
		return ams.Invalidf(at, "'%s' is not a value of %s: one of %s.", shorten(s), x.name, strings.Join(x.enum, ", "))
	}
	switch x.scalar {
	case "datetime":
		t, err := filter.ParseTime(s)
		if err != nil {
			return arm.InvalidContent(at, "%s", shorten(err.Error()))
		}
		s = arm.FormatTime(t)
	case "duration":
		if !isDuration(s) {
			return ams.Invalidf(at, "'%s' is not an ISO 8601 duration such as PT2.5S.", shorten(s))
		}
	case "position":
		if !isPosition(s) {
			return ams.Invalidf(at, "'%s' is no place in a stream: an ISO 8601 duration, a number of frames, a percentage or {Best}.", shorten(s))
		}
	case "uuid":
		id, err := uuid.Parse(s)
		if err != nil {
			return ams.Invalidf(at, "'%s' is not a GUID.", shorten(s))
		}
		s = id.String()
	case "base64":
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			return ams.Invalidf(at, "The value of '%s' is not base64.", x.name) // not repeated: it may be a secret
		}
	}
	c.text(s)
	return nil
}

func (c *checker) number(x *member, n json.Number, at string) error {
	f, err := n.Float64()
	if err != nil {
		return ams.Invalidf(at, "%s is out of range.", shorten(n.String()))
	}
	text := n.String()
	if x.scalar != "float" {
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			i, err = int64(f), nil // 5.0 and 1e3
		}
		if err != nil && f == 1<<63 {
			i, err = math.MaxInt64, nil // "unlimited", as JavaScript's numbers round it
		}
		switch {
		case f != math.Trunc(f):
			return arm.InvalidContent(at, "Cannot use the number %s as the value of '%s': it takes integers", shorten(text), x.name)
		case err != nil || x.scalar == "int32" && i != int64(int32(i)):
			return ams.Invalidf(at, "%s is out of range.", shorten(text))
		}
		text = strconv.FormatInt(i, 10)
	}
	switch {
	case x.min != nil && f < *x.min, x.max != nil && f > *x.max:
		return ams.Invalidf(at, "%s is out of the range of '%s': %s.", shorten(text), x.name, x.bounds())
	case x.oneOf != nil && !slices.Contains(x.oneOf, f):
		return ams.Invalidf(at, "%s is not a value of '%s': one of %v.", shorten(text), x.name, x.oneOf)
	}
	c.out.WriteString(text)
	return nil
}

func (x *member) bounds() string {
	switch {
	case x.max == nil:
		return fmt.Sprintf("%v or more", *x.min)
	case x.min == nil:
		return fmt.Sprintf("%v or less", *x.max)
	}
	return fmt.Sprintf("%v to %v", *x.min, *x.max)
}

func (c *checker) text(s string) { c.json(s) }

// json writes v without escaping what HTML would want escaped.
func (c *checker) json(v any) error {
	e := json.NewEncoder(&c.out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	c.out.Truncate(c.out.Len() - 1) // Encode ends with a new line
	return err
}

var (
	durationForm = regexp.MustCompile(`^-?P(\d+(\.\d+)?[YMWD])*(T(\d+(\.\d+)?[HMS])+)?$`)
	positionForm = regexp.MustCompile(`^(\d+(\.\d+)?%?|\{[Bb]est\})$`)
)

func isDuration(s string) bool { return durationForm.MatchString(s) && !strings.HasSuffix(s, "P") }

func isPosition(s string) bool { return positionForm.MatchString(s) || isDuration(s) }

// mistyped is the refusal of a value of the wrong JSON type.
func mistyped(at, want string, v any) error {
	got := "object"
	switch v.(type) {
	case nil:
		got = "null"
	case string:
		got = "string"
	case bool:
		got = "boolean"
	case json.Number:
		got = "number"
	case []any:
		got = "array"
	}
	return arm.InvalidContent(at, "Cannot use a JSON %s as the value of '%s': it takes a JSON %s", got, at, want)
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// shorten keeps what a message repeats of a body short.
func shorten(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return s
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
