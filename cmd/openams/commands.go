package main

import (
	"fmt"
	"os/exec"
	"strings"

	"github.com/openams/openams/encoder"
)

// commands are the programs that the settings name for what ffmpeg cannot do
// (docs/plugins.md). It is an error if one is not there.
func (c *config) commands() (*encoder.Commands, error) {
	all := &encoder.Commands{Reads: c.CommandReads, Timeout: c.CommandTimeout, Memory: c.CommandMemory << 20}
	for _, s := range []struct {
		name, line string
		to         *[]string
	}{
		{"speech-command", c.SpeechCommand, &all.Speech},
		{"faces-command", c.FacesCommand, &all.Faces},
		{"ocr-command", c.OCRCommand, &all.Text},
		{"motion-command", c.MotionCommand, &all.Motion},
		{"moderation-command", c.ModerationCommand, &all.Moderation},
	} {
		words, err := splitCommand(s.line)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", s.name, err)
		}
		if words == nil {
			continue
		}
		if words[0], err = exec.LookPath(words[0]); err != nil {
			return nil, fmt.Errorf("--%s: %w", s.name, err)
		}
		*s.to = words
	}
	return all, nil
}

// splitCommand cuts a command line at blanks that are not in quotes. No shell ever
// sees it: nothing else means anything.
func splitCommand(line string) (words []string, err error) {
	var word strings.Builder
	var quote rune
	open := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, open = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if open || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %c is not closed", quote)
	}
	if open || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words, nil
}
