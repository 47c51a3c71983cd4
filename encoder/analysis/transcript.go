package analysis

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// A Transcript is what is said in a recording.
type Transcript struct {
	Language string // BCP 47
	Phrases  []Phrase
}

// A Phrase is about a sentence.
type Phrase struct {
	Start, End time.Duration
	Text       string
	Confidence float64 // 0 to 1; 0: not known
}

// Bounds of what a speech-to-text program writes.
const (
	MaxTranscript = 64 << 20 // bytes
	maxPhrases    = 200_000
	maxPhrase     = 4000 // bytes
	maxTime       = 1000 * 24 * time.Hour
)

// ParseSpeech reads the JSON of whisper.cpp (--output-json, --output-json-full),
// which other programs can write too:
//
//	{"result":{"language":"en"},
//	 "transcription":[{"offsets":{"from":0,"to":2400},"text":" Hello.",
//	                   "tokens":[{"text":" Hello","p":0.97}]}]}
//
// Times are milliseconds. tokens are optional.
func ParseSpeech(b []byte) (*Transcript, error) {
	if len(b) > MaxTranscript {
		return nil, fmt.Errorf("it has more than %d bytes", MaxTranscript)
	}
	var in struct {
		Result struct {
			Language string `json:"language"`
		} `json:"result"`
		Transcription *[]struct {
			Offsets struct {
				From int64 `json:"from"`
				To   int64 `json:"to"`
			} `json:"offsets"`
			Text   string `json:"text"`
			Tokens []struct {
				Text string  `json:"text"`
				P    float64 `json:"p"`
			} `json:"tokens"`
		} `json:"transcription"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	switch {
	case in.Transcription == nil:
		return nil, errors.New("it has no transcription")
	case len(*in.Transcription) > maxPhrases:
		return nil, fmt.Errorf("it has more than %d phrases", maxPhrases)
	}
	t := &Transcript{Language: in.Result.Language}
	for i, s := range *in.Transcription {
		p := Phrase{Start: time.Duration(s.Offsets.From) * time.Millisecond, End: time.Duration(s.Offsets.To) * time.Millisecond, Text: oneLine(s.Text)}
		most := int64(maxTime / time.Millisecond)
		if s.Offsets.From < 0 || s.Offsets.To < s.Offsets.From || s.Offsets.To > most {
			return nil, fmt.Errorf("phrase %d is from %d to %d ms", i, s.Offsets.From, s.Offsets.To)
		}
		sum, n := 0.0, 0
		for _, token := range s.Tokens {
			if !strings.HasPrefix(token.Text, "[_") && token.P >= 0 && token.P <= 1 { // else a mark of time
				sum, n = sum+token.P, n+1
			}
		}
		if n > 0 {
			p.Confidence = sum / float64(n)
		}
		if p.Text != "" {
			t.Phrases = append(t.Phrases, p)
		}
	}
	return t, nil
}

// oneLine is text without control characters and line ends.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) > maxPhrase {
		s = strings.ToValidUTF8(s[:maxPhrase], "")
	}
	return s
}

// Shift moves all phrases.
func (t *Transcript) Shift(by time.Duration) {
	for i := range t.Phrases {
		t.Phrases[i].Start += by
		t.Phrases[i].End += by
	}
}

// Recognizability is how sure the program is of what it heard, 0 to 1, weighed by
// time; 0 if it does not say.
func (t *Transcript) Recognizability() float64 {
	var sum, all float64
	for _, p := range t.Phrases {
		if p.Confidence > 0 {
			d := (p.End - p.Start).Seconds()
			sum, all = sum+d*p.Confidence, all+d
		}
	}
	if all == 0 {
		return 0
	}
	return sum / all
}
