package filter

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"  ", ""},
		{"name eq 'it''s'", "name eq 'it''s'"},
		{"properties/created gt 2018-05-11T17:39:08.387Z", "properties/created gt 2018-05-11T17:39:08.387Z"},
		{"properties.created gt '2018-05-11'", "properties/created gt '2018-05-11'"},
		{"properties/created lt 2018-05-11", "properties/created lt 2018-05-11T00:00:00Z"},
		{"properties/created lt 2018-05-11T02:00:00+02:00", "properties/created lt 2018-05-11T00:00:00Z"},
		{"properties/state eq Microsoft.Media.JobState'Finished'", "properties/state eq Microsoft.Media.JobState'Finished'"},
		{"a eq 1 or b eq 2 and not c eq 3", "a eq 1 or b eq 2 and not c eq 3"},
		{"(a eq 1 or b eq 2) and c eq 3", "(a eq 1 or b eq 2) and c eq 3"},
		{"a eq 1 and (b eq 2 and c eq 3)", "a eq 1 and (b eq 2 and c eq 3)"},
		{"not(a eq 1)", "not a eq 1"},
		{"not (a eq 1 or b eq 2)", "not (a eq 1 or b eq 2)"},
		{"((a))eq((1))", "a eq 1"},
		{"(a eq b) eq false", "(a eq b) eq false"},
		// v2
		{"Created gt datetime'2015-01-01T00:00:00Z'", "Created gt 2015-01-01T00:00:00Z"},
		{"Created gt datetime'2015-01-01T00:00:00.1234567'", "Created gt 2015-01-01T00:00:00.1234567Z"},
		{"Created GT DateTimeOffset'2015-01-01T00:00'", "Created gt 2015-01-01T00:00:00Z"},
		{"Id eq guid'7F3C0000-0000-0000-0000-0000000000AB'", "Id eq guid'7f3c0000-0000-0000-0000-0000000000ab'"},
		{"assetId eq 7F3C0000-0000-0000-0000-0000000000AB", "assetId eq guid'7f3c0000-0000-0000-0000-0000000000ab'"},
		{"Size eq 1L and Rate lt -1.5 and On eq true and X eq null", "Size eq 1 and Rate lt -1.5e+00 and On eq true and X eq null"},
		{"Rate gt 2d", "Rate gt 2e+00"},
		{"substringof('a,b(', tolower(Name)) and startswith( Name ,'x' ) eq true", "substringof('a,b(',tolower(Name)) and startswith(Name,'x') eq true"},
		{"length(trim(Name)) gt 3", "length(trim(Name)) gt 3"},
		{"name eq '東京'", "name eq '東京'"},
	} {
		e, err := Parse(tt.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.text, err)
			continue
		}
		if e == nil {
			if tt.want != "" {
				t.Errorf("Parse(%q) is nil", tt.text)
			}
			continue
		}
		if e.String() != tt.want {
			t.Errorf("Parse(%q) = %s, want %s", tt.text, e, tt.want)
		}
		stable(t, e)
	}
}

func TestParseValues(t *testing.T) {
	for text, want := range map[string]any{
		"null": nil, "true": true, "FALSE": false, "-7": int64(-7), "7l": int64(7), "1.5": 1.5, "1e3": 1000.0, "2m": 2.0,
		"'x'": "x", "''": "",
		"N.E'V'": Enum{"N.E", "V"},
		"guid'00000000-0000-0000-0000-0000000000AA'": GUID("00000000-0000-0000-0000-0000000000aa"),
		"2020-02-29T12:00:00Z":                       time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC),
	} {
		e, err := Parse("f eq " + text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := e.Args[1].Value; !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %#v, want %#v", text, got, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		text string
		pos  int
		says string
	}{
		{"name eq", 8, "found the end"},
		{"name eq 'x", 9, "closing quote"},
		{"é eq 'x'", 1, "expected a property"},
		{"name eq 'é' x", 13, "unexpected 'x'"},
		{"(name eq 'x'", 13, "expected )"},
		{"name eq 'x')", 12, "unexpected ')'"},
		{"name eq 'x' and", 16, "found the end"},
		{"name eq eq", 9, "found 'eq'"},
		{"a eq 1 eq 2", 8, "unexpected 'eq'"},
		{"created gt 2018-13-01", 12, "2018-13-01"},
		{"created gt datetime'yesterday'", 12, "not a date"},
		{"created gt 9999-12-31T23:59:59-01:00", 12, "9999"},
		{"id eq guid'1'", 7, "not a guid"},
		{"id eq X'00'", 7, "unknown literal"},
		{"n eq 99999999999999999999", 6, "99999999999999999999"},
		{"n eq NaN and n eq 1.5L", 19, "1.5L"},
		{"sleep(10)", 1, "unknown function"},
		{"startswith(name)", 16, "takes 2 arguments"},
		{"startswith()", 12, "found ')'"},
		{"name eq 'x'; drop table assets", 12, "unexpected ';'"},
		{"a eq 'x\xff'", 1, "not UTF-8"},
		{strings.Repeat("(", 51) + "a", 52, "nested more than 50 deep"},
		{strings.Repeat("not ", 51) + "a", 205, "nested more than 50 deep"},
		{strings.Repeat("tolower(", 51) + "a", 401, "nested more than 50 deep"},
		{"a eq 1" + strings.Repeat(" or a eq 1", 600), 5008, "more than 2000 terms"},
		{strings.Repeat(" ", MaxLength) + "a", 1, "longer than"},
	} {
		e, err := Parse(tt.text)
		var perr *Error
		if !errors.As(err, &perr) {
			t.Errorf("Parse(%.60q) = %v, %v, want an error", tt.text, e, err)
			continue
		}
		if !strings.Contains(perr.Msg, tt.says) || perr.Pos != tt.pos {
			t.Errorf("Parse(%.60q): %q at %d, want %q at %d", tt.text, perr.Msg, perr.Pos, tt.says, tt.pos)
		}
	}
}

func TestParseOrder(t *testing.T) {
	for text, want := range map[string][]Order{
		"":                           nil,
		"name":                       {{"name", false}},
		"properties.created DESC":    {{"properties/created", true}},
		"Name asc,Created desc , Id": {{"Name", false}, {"Created", true}, {"Id", false}},
	} {
		got, err := ParseOrder(text)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("ParseOrder(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"name up", "asc", "name,", "'x'", "a b c", "(a)", strings.Repeat("a,", 10) + "a"} {
		if got, err := ParseOrder(text); err == nil {
			t.Errorf("ParseOrder(%q) = %v, want an error", text, got)
		}
	}
}

// stable checks that e reads back from its own text.
func stable(t *testing.T, e *Expr) {
	t.Helper()
	again, err := Parse(e.String())
	if err != nil {
		t.Fatalf("%s does not read back: %v", e, err)
	}
	if !cmp.Equal(e, again) {
		t.Fatalf("%s reads back as %s: %s", e, again, cmp.Diff(e, again))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"name eq 'it''s' and properties/created gt 2018-05-11T17:39:08.387Z",
		"not (a eq 1.5 or Microsoft.Media.JobState'Finished' ne properties.state)",
		"substringof('x',tolower(Name)) and Id eq guid'7F3C0000-0000-0000-0000-0000000000AB'",
		"Created ge datetime'2015-01-01T00:00:00' or Size lt 1L",
		"((a eq null) eq false) and (b and (c and d))",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if e, err := Parse(s); err == nil && e != nil && len(e.String()) <= MaxLength {
			stable(t, e)
		}
	})
}

func FuzzParseOrder(f *testing.F) {
	f.Add("name desc,properties/created asc")
	f.Fuzz(func(t *testing.T, s string) {
		orders, err := ParseOrder(s)
		if err == nil && len(orders) > MaxOrders {
			t.Fatalf("%d orders", len(orders))
		}
	})
}
