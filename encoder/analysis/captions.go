package analysis

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/openams/openams/packager/text"
)

// WebVTT returns the captions, with the confidence of each in a note, as AMS
// wrote them.
func (t *Transcript) WebVTT() []byte {
	var b bytes.Buffer
	b.WriteString("WEBVTT\n\n")
	if t.Language != "" {
		fmt.Fprintf(&b, "NOTE language:%s\n\n", oneLine(t.Language))
	}
	for _, p := range t.Phrases {
		if p.Confidence > 0 {
			fmt.Fprintf(&b, "NOTE Confidence: %.4f\n\n", p.Confidence)
		}
		fmt.Fprintf(&b, "%s --> %s\n%s\n\n", vttClock(p.Start), vttClock(p.shown()), vttEscape.Replace(p.Text))
	}
	return b.Bytes()
}

var vttEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// shown is when the caption goes: a caption of no length would never show.
func (p *Phrase) shown() time.Duration { return max(p.End, p.Start+time.Millisecond) }

func vttClock(t time.Duration) string {
	ms := t.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}

// TTML returns the captions as a TTML document.
func (t *Transcript) TTML() ([]byte, error) {
	d, err := text.Parse(t.WebVTT())
	if err != nil {
		return nil, err
	}
	end := time.Duration(0)
	for _, p := range t.Phrases {
		end = max(end, p.shown())
	}
	return d.TTML(0, end+time.Millisecond, 0), nil
}

// SAMI returns the captions as a SAMI file (Synchronized Accessible Media
// Interchange, of Microsoft).
func (t *Transcript) SAMI(title string) []byte {
	language := cmp.Or(t.Language, "und")
	class := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToUpper(r)
		}
		return -1
	}, language) + "CC"
	var b bytes.Buffer
	fmt.Fprintf(&b, "<SAMI>\n<HEAD>\n<TITLE>%s</TITLE>\n<STYLE TYPE=\"text/css\">\n<!--\nP { font-family: Arial; font-weight: normal; color: white; background-color: black; text-align: center; }\n.%s { Name: %s; lang: %s; SAMIType: CC; }\n-->\n</STYLE>\n</HEAD>\n<BODY>\n",
		escape(title), class, strings.ReplaceAll(escape(oneLine(language)), "--", ""), strings.ReplaceAll(escape(oneLine(language)), "--", ""))
	for i, p := range t.Phrases {
		fmt.Fprintf(&b, "<SYNC Start=%d><P Class=%s>%s</P></SYNC>\n", p.Start.Milliseconds(), class, escape(p.Text))
		if i+1 == len(t.Phrases) || t.Phrases[i+1].Start > p.shown() {
			fmt.Fprintf(&b, "<SYNC Start=%d><P Class=%s>&nbsp;</P></SYNC>\n", p.shown().Milliseconds(), class)
		}
	}
	b.WriteString("</BODY>\n</SAMI>\n")
	return b.Bytes()
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer never fails
	return b.String()
}

// A Keyword is a word that says what a recording is about.
type Keyword struct {
	Text    string
	Phrases []int // that it is in
	Count   int
}

// maxKeywords is how many are listed.
const maxKeywords = 50

// Keywords are the words that are said most often, but for the words of which
// every speech is full. It is a count, no understanding: it works for languages
// that separate words by blanks.
func (t *Transcript) Keywords() []Keyword {
	found := map[string]*Keyword{}
	for i, p := range t.Phrases {
		for _, w := range words(p.Text) {
			key := strings.ToLower(w)
			if utf8.RuneCountInString(key) < 4 || common[key] {
				continue
			}
			k := found[key]
			if k == nil {
				k = &Keyword{Text: w}
				found[key] = k
			}
			k.Count++
			if n := len(k.Phrases); n == 0 || k.Phrases[n-1] != i {
				k.Phrases = append(k.Phrases, i)
			}
		}
	}
	var all []Keyword
	for _, k := range found {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b Keyword) int {
		return cmp.Or(b.Count-a.Count, a.Phrases[0]-b.Phrases[0], strings.Compare(a.Text, b.Text))
	})
	return all[:min(len(all), maxKeywords)]
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '’' && r != '-'
	})
}

// common are English words of four letters and more that say nothing alone.
var common = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`about after again also another because been before being between both can't cannot come could didn't does doesn't doing
		don't down each even ever every from going have having here into it's just know like little look made make many maybe more most much must
		need never only other over really right said same should some something such take tell than that that's their them then there there's these
		they they're thing things think this those through time very want well were we're what when where which while will with without won't would
		yeah your you're`) {
		m[w] = true
	}
	return m
}()

// KeywordsXML is the .kw.xml of the Indexer (its elements are inferred: AMS
// documented that it has keywords with frequency and offset).
func (t *Transcript) KeywordsXML() []byte {
	type keyword struct {
		Text      string `xml:"text"`
		Frequency int    `xml:"frequency"`
		Offset    string `xml:"offset"` // of the first, seconds
	}
	doc := struct {
		XMLName  xml.Name  `xml:"keywords"`
		Language string    `xml:"language,attr,omitempty"`
		Keywords []keyword `xml:"keyword"`
	}{Language: t.Language}
	for _, k := range t.Keywords() {
		doc.Keywords = append(doc.Keywords, keyword{k.Text, k.Count, fmt.Sprintf("%.3f", t.Phrases[k.Phrases[0]].Start.Seconds())})
	}
	b, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err) // of types that always marshal
	}
	return append([]byte(xml.Header), append(b, '\n')...)
}
