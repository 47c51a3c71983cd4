package restv3

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLenient(t *testing.T) {
	for in, want := range map[string]string{
		`{"properties": {"description": "", } , }`: `{"properties": {"description": "" }  }`,
		`[1,,2, ,3,]`:              `[1,2 ,3]`,
		`{"a":",}","b":"\",]",}`:   `{"a":",}","b":"\",]"}`,
		`{"a":"\\",}`:              `{"a":"\\"}`,
		`{"a":1,"b":[1,2],"c":{}}`: `{"a":1,"b":[1,2],"c":{}}`,
		`,`:                        `,`,
		``:                         ``,
	} {
		got, err := io.ReadAll(&lenient{ReadCloser: io.NopCloser(iotest.OneByteReader(strings.NewReader(in)))})
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzLenient: JSON passes unchanged.
func FuzzLenient(f *testing.F) {
	f.Add(`{"a":[1,2,{"b":"\\\",}"}],"c":"é"}`)
	f.Fuzz(func(t *testing.T, in string) {
		got, err := io.ReadAll(&lenient{ReadCloser: io.NopCloser(strings.NewReader(in))})
		if err != nil {
			t.Fatal(err)
		}
		if json.Valid([]byte(in)) && string(got) != in {
			t.Fatalf("%q became %q", in, got)
		}
	})
}
