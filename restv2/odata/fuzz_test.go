package odata

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"reflect"
	"strings"
	"testing"
)

func fuzzServer(f *testing.F) *Server {
	b, err := os.ReadFile("../model.json")
	if err != nil {
		f.Fatal(err)
	}
	m, err := ParseModel(b)
	if err != nil {
		f.Fatal(err)
	}
	return &Server{c: Config{Path: "/api/"}, all: m, model: m}
}

func FuzzPath(f *testing.F) {
	f.Add("/api//Assets('nb:cid:UUID:7f3c')/Files('it''s')/$links/ContentKeys()")
	f.Add("EncodingReservedUnitTypes(guid'0A1B2C3D-0000-4000-8000-00000000abcd')")
	f.Add("AssetFilters(Id='nb:cid:UUID:1__###__a/b')")
	f.Fuzz(func(t *testing.T, s string) {
		segments, err := parsePath(s)
		if err != nil {
			return
		}
		var text []string
		for _, seg := range segments {
			text = append(text, seg.String())
		}
		// A name without a key may hold what quotes the rest.
		if strings.Contains(strings.Join(text, ""), "'") && !allPlain(segments) {
			return
		}
		again, err := parsePath(strings.Join(text, "/"))
		if err != nil || !reflect.DeepEqual(segments, again) {
			t.Fatalf("%q: %+v reads back as %+v, %v", s, segments, again, err)
		}
	})
}

func allPlain(segments []segment) bool {
	for _, seg := range segments {
		if strings.ContainsAny(seg.name, "'()") || seg.name == "" {
			return false
		}
	}
	return true
}

// A key finds its way into a URL and back.
func FuzzKeyURL(f *testing.F) {
	s := fuzzServer(f)
	f.Add("nb:cid:UUID:7f3c__###__it's 100% a/b?c")
	f.Fuzz(func(t *testing.T, key string) {
		if len(key) > 1000 {
			return
		}
		ref, err := s.all.ref("https://h/api/" + s.all.Set("Assets").keyURL(key))
		if err != nil || ref != (Ref{"Assets", key}) {
			t.Fatalf("%q: %+v, %v", key, ref, err)
		}
	})
}

func FuzzInsertJSON(f *testing.F) {
	s := fuzzServer(f)
	f.Add([]byte(`{"Name" : "NewTestJob", "InputMediaAssets" : [{"__metadata" : {"uri" : "https://h/api/Assets('nb%3Acid')"}}],, "Tasks" : [{"TaskBody" : "<?xml version=\"1.0\"?>",}], "Priority":"2", "JobNotificationSubscriptions":{"results":[{"TargetJobState":1}]}}`))
	f.Add([]byte("{'Name':'a\t\\u00e9\\ud83d\\ude00','EndTime':'/Date(1)/'}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseJSON(b)
		var strict any
		if json.Unmarshal(b, &strict) == nil && err != nil && !strings.Contains(err.Error(), "twice") && !strings.Contains(err.Error(), "more than") && !strings.Contains(err.Error(), "UTF-8") && !strings.Contains(err.Error(), "no value") {
			t.Fatalf("refused: %v", err)
		}
		if o, ok := v.(*object); ok && err == nil {
			checkInsert(t, s, o)
		}
	})
}

func FuzzInsertAtom(f *testing.F) {
	s := fuzzServer(f)
	f.Add([]byte(`<a:entry xmlns:a="http://www.w3.org/2005/Atom" xmlns:m="` + nsMeta + `" xmlns:d="` + nsData + `"><a:content><m:properties><d:Name m:null="true"/><d:Priority>3</d:Priority><d:JobNotificationSubscriptions><d:element><d:TargetJobState>2</d:TargetJobState></d:element></d:JobNotificationSubscriptions></m:properties></a:content><a:link rel="` + nsRelated + `InputMediaAssets" href="Assets('a')"/><a:link rel="` + nsRelated + `Tasks"><m:inline><a:feed><a:entry/></a:feed></m:inline></a:link></a:entry>`))
	f.Add([]byte(`<?xml version="1.0" encoding="utf-16"?><uri>x</uri>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := parseXML(b); err == nil {
			checkInsert(t, s, o)
		}
	})
}

// checkInsert reads o as a job. What it reads can be written in all formats.
func checkInsert(t *testing.T, s *Server, o *object) {
	set := s.all.Set("Jobs")
	in, err := s.insert(set, o)
	if err != nil {
		return
	}
	in.Values["Id"] = "nb:jid:UUID:1"
	c := &call{root: "http://h/api/"}
	left := 0
	rec, err := s.record(c, set, in.Values, nil, &left)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []format{minimal, full, none, verbose, atom} {
		c.format = f
		b := s.writeRecord(c, 200, rec).body
		if f != atom && !json.Valid(b) {
			t.Fatalf("not JSON: %s", b)
		}
		if f == atom {
			if err := xml.Unmarshal(b, new(struct{ XMLName xml.Name })); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
		}
	}
}

func FuzzBatch(f *testing.F) {
	s := fuzzServer(f)
	f.Add([]byte("\n--b\r\nContent-Type: multipart/mixed;\r\n boundary=\"c\"\r\n\r\n--c\nContent-Type: application/http\n\nPOST http://h/api//$1/Tasks HTTP/1.1\nContent-ID: 2\n\n{}\n--c--\n--b\ncontent-type: application/http\n\nGET Assets?$top=1 HTTP/1.1\n\n--b--"))
	f.Fuzz(func(t *testing.T, b []byte) {
		steps, err := parseBatch("multipart/mixed; boundary=b", b)
		if err != nil {
			return
		}
		n := 0
		for _, st := range steps {
			for _, op := range st.operations {
				n++
				// What cannot be followed is an error, and no more.
				if _, err := s.operationCall(&call{}, op); err == nil && !bytes.Contains(b, []byte(op.target)) {
					t.Fatalf("%q is not of the batch", op.target)
				}
			}
		}
		if n > maxOperations {
			t.Fatalf("%d operations", n)
		}
	})
}
