package odata

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An Entity is what an entity or a complex value has, by property. The Go
// type of a value follows from its type in the Model:
//
//	Edm.String, Edm.Guid           string
//	Edm.Int16, Edm.Int32, Edm.Int64  int64
//	Edm.Double                     float64
//	Edm.Boolean                    bool
//	Edm.DateTime                   DateTime
//	Edm.Time                       time.Duration
//	a complex type                 Entity
//	Collection(…)                  []any
//
// and nil is null. Handlers may also return int, int32 and time.Time. A
// property that is absent is written as null, or as an empty collection. An
// entity that a Creator returns for a deep insert holds the new entities in
// []Entity, by navigation.
type Entity map[string]any

// A DateTime is a point in time. A bare one was written without a zone and
// is written so again; it counts as UTC.
type DateTime struct {
	time.Time
	Bare bool
}

// String spells d as AMS did: with the seconds' fraction that it has, up to
// seven digits.
func (d DateTime) String() string {
	s := d.UTC().Format("2006-01-02T15:04:05.9999999")
	if d.Bare {
		return s
	}
	return s + "Z"
}

var dateLayouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04",
	"2006-01-02",
	"1/2/2006 3:04:05 PM", // the azure-media client for Node. (Observed.)
}

var verboseDate = regexp.MustCompile(`^/Date\((-?\d{1,15})([+-]\d{1,4})?\)/$`)

// ParseDateTime reads a time in any spelling that clients send.
func ParseDateTime(s string) (DateTime, error) {
	s = strings.TrimSpace(s)
	if m := verboseDate.FindStringSubmatch(s); m != nil {
		ms, err := strconv.ParseInt(m[1], 10, 64)
		return DateTime{Time: time.UnixMilli(ms).UTC()}, err
	}
	for i, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
				break
			}
			return DateTime{Time: t, Bare: i >= 2}, nil
		}
	}
	return DateTime{}, fmt.Errorf("'%s' is not a date and time", clip(s))
}

var durationText = regexp.MustCompile(`^(-)?P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(\.\d{1,9})?S)?)?$`)

// ParseDuration reads an ISO 8601 duration of days and less.
func ParseDuration(s string) (time.Duration, error) {
	m := durationText.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil || strings.HasSuffix(s, "P") || strings.HasSuffix(s, "T") {
		return 0, fmt.Errorf("'%s' is not a duration", clip(s))
	}
	seconds := 0.0
	for i, unit := range []float64{86400, 3600, 60, 1} {
		if m[i+2] != "" {
			n, err := strconv.ParseFloat(m[i+2], 64)
			if err != nil {
				return 0, err
			}
			seconds += n * unit
		}
	}
	if seconds > math.MaxInt64/1e9-1 {
		return 0, fmt.Errorf("'%s' is too long", clip(s))
	}
	d := time.Duration(seconds) * time.Second
	if m[6] != "" {
		fraction, err := time.ParseDuration("0" + m[6] + "s")
		if err != nil {
			return 0, err
		}
		d += fraction
	}
	if m[1] != "" {
		d = -d
	}
	return d, nil
}

// FormatDuration spells d as an ISO 8601 duration.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "PT0S"
	}
	var b strings.Builder
	if d < 0 {
		b.WriteByte('-')
		d = -d
	}
	b.WriteByte('P')
	if days := d / (24 * time.Hour); days > 0 {
		fmt.Fprintf(&b, "%dD", days)
		d -= days * 24 * time.Hour
	}
	if d > 0 {
		b.WriteByte('T')
		if h := d / time.Hour; h > 0 {
			fmt.Fprintf(&b, "%dH", h)
			d -= h * time.Hour
		}
		if m := d / time.Minute; m > 0 {
			fmt.Fprintf(&b, "%dM", m)
			d -= m * time.Minute
		}
		if d > 0 {
			b.WriteString(strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "S")
		}
	}
	return b.String()
}

// from says who wrote a value that convert reads.
type from int

const (
	fromModel   from = iota
	fromInsert       // a client: read-only members of complex values are left out
	fromHandler      // values are of Entity's types, or near
)

var guidText = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

var errNull = errors.New("null is not allowed")

// maxItems bounds a collection in a body.
const maxItems = 10_000

// convert reads v, as a parser or a handler gives it, as a value of typ. It
// is as lenient as AMS: numbers and booleans may come as text, and numbers
// where text is due.
func (m *Model) convert(typ string, v any, by from) (any, error) {
	if v == nil {
		return nil, nil
	}
	if e, ok := element(typ); ok {
		return m.convertItems(e, v, by)
	}
	if c := m.complex(typ); c != nil {
		return m.convertComplex(c, v, by)
	}
	switch typ {
	case "Edm.String":
		return convertString(v)
	case "Edm.Guid":
		s, err := convertString(v)
		s = strings.ToLower(strings.Trim(strings.TrimSpace(s), "{}"))
		if err == nil && !guidText.MatchString(s) {
			err = fmt.Errorf("'%s' is not a guid", clip(s))
		}
		return s, err
	case "Edm.Int16":
		return convertInt(v, math.MinInt16, math.MaxInt16)
	case "Edm.Int32":
		return convertInt(v, math.MinInt32, math.MaxInt32)
	case "Edm.Int64":
		return convertInt(v, math.MinInt64, math.MaxInt64)
	case "Edm.Double":
		return convertDouble(v)
	case "Edm.Boolean":
		return convertBool(v)
	case "Edm.DateTime":
		switch v := v.(type) {
		case DateTime:
			return v, nil
		case time.Time:
			return DateTime{Time: v}, nil
		case string:
			return ParseDateTime(v)
		}
	case "Edm.Time":
		switch v := v.(type) {
		case time.Duration:
			return v, nil
		case string:
			return ParseDuration(v)
		}
	}
	return nil, wrongKind(v)
}

func wrongKind(v any) error {
	switch v.(type) {
	case *object:
		return errors.New("an object is not expected")
	case []any:
		return errors.New("an array is not expected")
	}
	return fmt.Errorf("%v is not expected", v)
}

func convertString(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", wrongKind(v)
}

func convertInt(v any, low, high int64) (any, error) {
	var n int64
	switch v := v.(type) {
	case int:
		n = int64(v)
	case int32:
		n = int64(v)
	case int64:
		n = v
	case string, json.Number, float64:
		s := strings.TrimSpace(fmt.Sprint(v))
		var err error
		if n, err = strconv.ParseInt(s, 10, 64); err != nil {
			f, ferr := strconv.ParseFloat(s, 64)
			if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
				return nil, fmt.Errorf("'%s' is not a whole number", clip(s))
			}
			n = int64(f)
		}
	default:
		return nil, wrongKind(v)
	}
	if n < low || n > high {
		return nil, fmt.Errorf("%d is out of range", n)
	}
	return n, nil
}

func convertDouble(v any) (any, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case string, json.Number:
		s := strings.TrimSpace(fmt.Sprint(v))
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fmt.Errorf("'%s' is not a number", clip(s))
		}
		return f, nil
	}
	return nil, wrongKind(v)
}

func convertBool(v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string, json.Number:
		switch s := strings.ToLower(strings.TrimSpace(fmt.Sprint(v))); s {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		default:
			return nil, fmt.Errorf("'%s' is neither true nor false", clip(s))
		}
	}
	return nil, wrongKind(v)
}

func (m *Model) convertItems(typ string, v any, by from) (any, error) {
	if o, ok := v.(*object); ok { // verbose: {"results": […]}
		if v, ok = o.get("results"); !ok {
			return nil, errors.New("an array is expected")
		}
	}
	items, ok := v.([]any)
	if !ok {
		return nil, errors.New("an array is expected")
	}
	if len(items) > maxItems {
		return nil, fmt.Errorf("more than %d items", maxItems)
	}
	out := make([]any, len(items))
	for i, item := range items {
		var err error
		if out[i], err = m.convert(typ, item, by); err == nil && out[i] == nil {
			err = errNull
		}
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return out, nil
}

func (m *Model) convertComplex(c *ComplexType, v any, by from) (any, error) {
	if e, ok := v.(Entity); ok && by == fromHandler {
		out := Entity{}
		for _, p := range c.Properties {
			var err error
			if out[p.Name], err = m.convert(p.Type, e[p.Name], by); err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
		}
		return out, nil
	}
	o, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("an object of type %s is expected", c.Name)
	}
	out := Entity{}
	for _, mb := range o.members {
		if annotation(mb.name) {
			continue
		}
		p := find(c.Properties, mb.name)
		if p == nil {
			return nil, m.noProperty(mb.name, c.Name)
		}
		if p.Access == Read {
			continue
		}
		v, err := m.convert(p.Type, mb.value, by)
		if err == nil {
			err = p.fits(v)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		out[p.Name] = v
	}
	for _, p := range c.Properties {
		if _, said := out[p.Name]; !said && p.Default != nil {
			out[p.Name] = p.Default
		}
	}
	return out, nil
}

// fits checks the length of a text.
func (p *Property) fits(v any) error {
	if s, ok := v.(string); ok && p.Max > 0 && utf8.RuneCountInString(s) > p.Max {
		return fmt.Errorf("longer than %d characters", p.Max)
	}
	return nil
}

// annotation reports whether a member of an object is OData's own.
func annotation(name string) bool {
	return name == "__metadata" || name == "__deferred" || strings.HasPrefix(name, "odata.") ||
		strings.HasPrefix(name, "#") || strings.Contains(name, "@odata.")
}

// text spells a scalar as XML, $value and literals of JSON have it.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return formatDouble(v)
	case DateTime:
		return v.String()
	case time.Duration:
		return FormatDuration(v)
	}
	return fmt.Sprint(v)
}

func formatDouble(f float64) string {
	format := byte('f')
	if a := math.Abs(f); a >= 1e15 || a != 0 && a < 1e-5 {
		format = 'E'
	}
	return strconv.FormatFloat(f, format, -1, 64)
}

// clip shortens what a client sent to what an error may repeat.
func clip(s string) string {
	const most = 200
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.ToValidUTF8(s, "�")
}
