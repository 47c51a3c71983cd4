// Plugin is a sample of the programs that openams calls for what ffmpeg cannot do
// (docs/plugins.md). It understands nothing: what it finds is always the same, so
// that tests know it, but it reads what it is given as a real one has to.
//
//	plugin [--fail STATUS | --bad | --hang] faces|text|motion|moderation INPUT OPTIONS OUTPUT
//	plugin [...] -l LANGUAGE ... -of OUTPUT -f WAV
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	for len(args) > 0 {
		switch args[0] {
		case "--fail":
			status, err := strconv.Atoi(args[1])
			if err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, "loading\nthe pictures are too dark")
			os.Exit(status)
		case "--hang":
			time.Sleep(time.Hour)
		case "--bad":
			return os.WriteFile(args[len(args)-1], []byte(`{"interval":1,"samples":[{"time":0,"faces":[{"id":1,"x":2,"y":0,"width":1,"height":1}]}]}`), 0o600)
		case "faces", "text", "motion", "moderation":
			if len(args) != 4 {
				return errors.New("usage: plugin TASK INPUT OPTIONS OUTPUT")
			}
			return look(args[0], args[1], args[2], args[3])
		default:
			return listen(args)
		}
		args = args[1:]
	}
	return errors.New("nothing to do")
}

type object = map[string]any

// look pretends to have looked at a video.
func look(task, input, options, output string) error {
	if _, err := os.Stat(input); err != nil {
		return err
	}
	b, err := os.ReadFile(options)
	if err != nil {
		return err
	}
	var ask struct {
		Version int    `json:"version"`
		Task    string `json:"task"`
		Video   struct {
			Width     int     `json:"width"`
			Height    int     `json:"height"`
			FrameRate float64 `json:"frameRate"`
			Duration  float64 `json:"duration"`
		} `json:"video"`
	}
	if err := json.Unmarshal(b, &ask); err != nil {
		return err
	}
	if ask.Version != 1 || ask.Task != task || ask.Video.Width < 2 || ask.Video.FrameRate <= 0 {
		return fmt.Errorf("the options are not understood: %s", b)
	}
	interval := 0.5
	if task == "faces" || task == "motion" {
		interval = 1 / ask.Video.FrameRate
	}
	samples := []object{}
	for n := 0; ; n++ {
		at := float64(n) * interval
		if at >= ask.Video.Duration-0.0001 {
			break
		}
		if done := at / ask.Video.Duration; n%10 == 0 {
			fmt.Printf("progress %.1f\n", 100*done)
		}
		samples = append(samples, find(task, at, at/ask.Video.Duration))
	}
	b, err = json.Marshal(object{"interval": interval, "samples": samples})
	if err != nil {
		return err
	}
	return os.WriteFile(output, b, 0o600)
}

// find returns what is seen at a time that is a part of the whole.
func find(task string, at, part float64) object {
	s := object{"time": at}
	switch task {
	case "faces":
		// One face all the time; another in the first half.
		faces := []object{{"id": 1, "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.3, "confidence": 0.9, "emotions": object{"neutral": 0.2, "happiness": 0.8}}}
		if part < 0.5 {
			faces = append(faces, object{"id": 2, "x": 0.6, "y": 0.5, "width": 0.2, "height": 0.3, "emotions": object{"sadness": 1.0}})
		}
		s["faces"] = faces
	case "text":
		if part >= 0.25 {
			s["regions"] = []object{{"language": "English", "orientation": "Up", "lines": []object{{
				"text": "Hello world", "x": 0.25, "y": 0.5, "width": 0.5, "height": 0.1, "confidence": 0.95, "words": []object{
					{"text": "Hello", "x": 0.25, "y": 0.5, "width": 0.25, "height": 0.1, "confidence": 0.9},
					{"text": "world", "x": 0.5, "y": 0.5, "width": 0.25, "height": 0.1, "confidence": 0.99}}}}}}
		}
	case "motion":
		if part >= 0.5 {
			s["motion"] = []object{{"zone": 0, "x": 0.2, "y": 0.2, "width": 0.3, "height": 0.3}}
		}
		if part < 0.1 {
			s["motion"] = []object{{"zone": 0, "light": true, "x": 0, "y": 0, "width": 1, "height": 1}}
		}
	case "moderation":
		s["moderation"] = object{"adultScore": 0.01, "racyScore": part, "reviewRecommended": part > 0.7}
	}
	return s
}

// listen calls each second of a recording that is not silent "a sound", in the
// way of whisper.cpp.
func listen(args []string) error {
	value := func(flag string) string {
		if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
			return args[i+1]
		}
		return ""
	}
	language, out, in := value("-l"), value("-of"), value("-f")
	if out == "" || in == "" {
		return fmt.Errorf("not understood: %q", args)
	}
	if language == "auto" {
		language = "en"
	}
	b, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	if len(b) < 44 || string(b[:4]) != "RIFF" || binary.LittleEndian.Uint16(b[22:]) != 1 || binary.LittleEndian.Uint32(b[24:]) != 16000 || binary.LittleEndian.Uint16(b[34:]) != 16 {
		return errors.New("this is no WAV of 16 kHz, one channel, 16 bits")
	}
	at := 12
	for string(b[at:at+4]) != "data" {
		at += 8 + int(binary.LittleEndian.Uint32(b[at+4:]))
		if at+8 > len(b) {
			return errors.New("the WAV has no data")
		}
	}
	sound := b[at+8:]
	said := []object{}
	const second = 2 * 16000
	for n := 0; n*second < len(sound); n++ {
		piece := sound[n*second : min((n+1)*second, len(sound))]
		loud := 0.0
		for i := 0; i+1 < len(piece); i += 2 {
			loud = math.Max(loud, math.Abs(float64(int16(binary.LittleEndian.Uint16(piece[i:])))))
		}
		if loud > 300 {
			said = append(said, object{"offsets": object{"from": n * 1000, "to": n*1000 + len(piece)*1000/second}, "text": " A sound <number> " + strconv.Itoa(n) + ".",
				"tokens": []object{{"text": "[_BEG_]", "p": 0.1}, {"text": " A", "p": 0.9}, {"text": " sound", "p": 0.7}}})
		}
		fmt.Fprintf(os.Stderr, "whisper_print_progress_callback: progress = %3d%%\n", min(100, 100*(n+1)*second/max(1, len(sound))))
	}
	if b, err = json.Marshal(object{"result": object{"language": language}, "transcription": said}); err != nil {
		return err
	}
	return os.WriteFile(out+".json", b, 0o600)
}
