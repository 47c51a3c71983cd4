package encoder

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// TestWrittenPlans holds plan and command line of the presets in
// testdata/written, in the spellings that clients of v2 send. Those whose names
// differ in the extension alone are the same preset as XML and JSON.
func TestWrittenPlans(t *testing.T) {
	all, err := filepath.Glob("testdata/written/*/*.*")
	if err != nil || len(all) == 0 {
		t.Fatalf("no presets: %v", err)
	}
	for _, path := range all {
		processor := filepath.Base(filepath.Dir(path))
		t.Run(processor+"/"+filepath.Base(path), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p := configured(t, map[string]string{"mes": ams.MediaEncoderStandard, "ame": ams.AzureMediaEncoder}[processor], string(b))
			var got bytes.Buffer
			for _, source := range []string{"bbb-720p25-5.1-5s.mp4", "phone-portrait-rot90-2s.mov", "video-only-360p-40s.mp4", "siesta-stereo-140s.mp3"} {
				q := One(source, readProbe(t, "testdata/probes/"+source+".json"), Clip{})
				q.Feeds[0].Asset = "11111111-1111-1111-1111-111111111111"
				logo := &ffmpeg.Info{Format: "png_pipe", Streams: []ffmpeg.Stream{{Kind: "video", Codec: "png", Width: 200, Height: 100}}}
				q.Feeds[0].Files = append(q.Feeds[0].Files, Source{Name: "Image001.png", Info: logo})
				q.Feeds = append(q.Feeds, Feed{Asset: "22222222-2222-2222-2222-222222222222",
					Files: []Source{{Name: "second.mp4", Info: readProbe(t, "testdata/probes/montage-720p24-stereo-42s.mp4.json")}}})
				showPlan(t, &got, p, q, source)
			}
			stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
			golden(t, "testdata/plans/written/"+processor+"-"+stem+".txt", got.Bytes())
		})
	}
}

// TestWrittenRefuses: what is wrong in a written preset is told by its place.
func TestWrittenRefuses(t *testing.T) {
	const layer = `{"Bitrate":1000,"Width":640,"Height":360}`
	json := func(codec, outputs string) string {
		return `{"Version":1.0,"Codecs":[` + codec + `],"Outputs":[` + outputs + `]}`
	}
	h264 := func(more string) string { return `{"Type":"H264Video"` + more + `,"H264Layers":[` + layer + `]}` }
	const mp4 = `{"FileName":"{Basename}.mp4","Format":{"Type":"MP4Format"}}`
	for _, tt := range []struct{ text, says string }{
		{json(h264(""), mp4), ""},
		{json(h264(`,"TwoPass":"true","Condition":"InsertBlackIfNoVideo"`), mp4), ""},
		{`{`, "not JSON"},
		{`{} x`, "after its end"},
		{`<Preset`, "not XML"},
		{`<Other/>`, "'Other'"},
		{`<Preset/>`, "preset.Codecs"},
		{json(``, mp4), "preset.Codecs: a preset has 1 to"},
		{json(h264(`,"Nothing":1`), mp4), "preset.Codecs[0].Nothing: this is no property"},
		{json(h264(`,"KeyFrameInterval":"00:01:00"`), mp4), "preset.Codecs[0].keyFrameInterval"},
		{json(h264(`,"Condition":"Sometimes"`), mp4), "preset.Codecs[0].Condition"},
		{json(h264(``), `{"FileName":"a.mp4","Format":{"Type":"GifFormat"}}`), "'GifFormat'"},
		{json(`{"Type":"H264Video","H264Layers":[{"Bitrate":"x"}]}`, mp4), "preset.Codecs[0].H264Layers[0].Bitrate: 'x' is not a whole number"},
		{json(`{"Type":"AACAudio","Bitrate":64}`, mp4), "preset.Codecs[0].Bitrate: 64 is not from 96 to 576"},
		{json(`{"Type":"AACAudio","Profile":"HEAACV2","SamplingRate":44100,"Bitrate":64}`, mp4), ""},
		{json(`{"Type":"JpgImage","JpgLayers":[{"Width":"10%","Height":"10%"}]}`, `{"FileName":"a.jpg","Format":{"Type":"JpgFormat"}}`), "{Index} once"},
		{json(`{"Type":"VC1Video"}`, mp4), "'VC1Video'"},
		{`{"Sources":[{"Filters":{"Rotation":"45"}}],"Codecs":[` + h264("") + `],"Outputs":[` + mp4 + `]}`, "preset.Sources[0].Filters.Rotation: '45'"},
		{`{"Sources":[{"StartTime":"yesterday"}],"Codecs":[` + h264("") + `],"Outputs":[` + mp4 + `]}`, "preset.Sources[0].StartTime"},
		{`{"Sources":[{"Filters":{"VideoOverlay":{}}}],"Codecs":[` + h264("") + `],"Outputs":[` + mp4 + `]}`, "preset.Sources[0].Filters.VideoOverlay.Source"},
		{`{"Codecs":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "nested too deep"},
		{strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100), "nested too deep"},
	} {
		_, err := ParseConfiguration(ams.MediaEncoderStandard, tt.text)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.200s: %v, want %q", tt.text, err, tt.says)
		}
	}
	for _, tt := range []struct{ text, says string }{
		{`{}`, "no XML"},
		{`<Thumbnail/>`, "0 Times"},
		{`<Thumbnail Type="Gif"><Time Value="1"/></Thumbnail>`, "preset.Thumbnail.Type"},
		{`<Preset/>`, "preset.Preset.MediaFile: it is missing"},
		{`<Preset><MediaFile><OutputFormat><MP4OutputFormat/></OutputFormat></MediaFile></Preset>`, "neither an AudioProfile"},
		{`<Preset><MediaFile><OutputFormat><QuickTimeOutputFormat/></OutputFormat></MediaFile></Preset>`, "no such format"},
		{`<Preset><MediaFile><OutputFormat><MP4OutputFormat><AudioProfile><OpusAudioProfile/></AudioProfile></MP4OutputFormat></OutputFormat></MediaFile></Preset>`, "OpusAudioProfile[0]: this server has no such codec"},
		{`<Preset><MediaFile Color="1"><OutputFormat><MP4OutputFormat><AudioProfile><AacAudioProfile/></AudioProfile></MP4OutputFormat></OutputFormat></MediaFile></Preset>`, "preset.Preset.MediaFile[0].Color"},
	} {
		_, err := ParseConfiguration(ams.AzureMediaEncoder, tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.200s: %v, want %q", tt.text, err, tt.says)
		}
	}
}

// TestWrittenEncode runs written presets of both processors.
func TestWrittenEncode(t *testing.T) {
	path := film(t, "2", "160x90", "25")
	red := solid(t, "red.mp4", "red", "160x90", "25", "1", 1000)
	silent := solid(t, "silent.mp4", "blue", "160x90", "25", "1", 0)
	sound := clip(t, "sound.mp4", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac")
	logo := clip(t, "logo.png", "-f", "lavfi", "-i", "color=white:size=40x20", "-frames:v", "1")
	mp4 := func(codecs string) string {
		return `{"Version":1.0,"Codecs":[` + codecs + `],"Outputs":[{"FileName":"{Basename}_{Width}x{Height}_{VideoBitrate}_{AudioBitrate}.mp4","Format":{"Type":"MP4Format"}}]}`
	}
	const layers = `"H264Layers":[{"Bitrate":"200","Width":"160","Height":"90"},{"Bitrate":100,"Width":80,"Height":46}]`
	for _, tt := range []struct {
		name, processor, text string
		files                 []string
		want                  []string
	}{
		{"images", ams.MediaEncoderStandard, `{"Version":1.0,"Codecs":[
			{"Type":"JpgImage","Start":"00:00:00","Step":"50%","Range":"100%","JpgLayers":[{"Type":"JpgLayer","Width":"50%","Height":"50%","Quality":90}]},
			{"Type":"PngImage","Start":"25","Step":"1","Range":"1","PngLayers":[{"Width":160,"Height":90}]},
			{"Type":"BmpImage","Start":"{Best}","BmpLayers":[{"Width":80,"Height":46}]}],
			"Outputs":[{"FileName":"{Basename}_{Index}{Extension}","Format":{"Type":"JpgFormat"}},{"FileName":"{Basename}_{Index}{Extension}","Format":{"Type":"PngFormat"}},{"FileName":"{Basename}_{Index}{Extension}","Format":{"Type":"BmpFormat"}}]}`,
			[]string{path}, []string{"film_000001.jpg: 80x46", "film_000002.jpg: 80x46", "film_000001.png: 160x90", "film_000001.bmp"}},
		{"silence", ams.MediaEncoderStandard, mp4(`{"Type":"H264Video",` + layers + `},{"Type":"AACAudio","Condition":"InsertSilenceIfNoAudio"}`), []string{silent},
			[]string{"silent_160x90_200_128.mp4: avc1 160x90 25 frames, IDR 25; mp4a 2 und", "silent_80x46_100_128.mp4: avc1 80x46 25 frames, IDR 25; mp4a 2 und"}},
		{"blackness", ams.MediaEncoderStandard, mp4(`{"Type":"H264Video","Condition":"InsertBlackIfNoVideo",` + layers + `},{"Type":"AACAudio"}`), []string{sound},
			[]string{"sound_160x90_200_128.mp4: avc1 160x90 25 frames, IDR 25; mp4a 2 und", "sound_80x46_100_128.mp4: avc1 80x46 25 frames, IDR 25; mp4a 2 und"}},
		{"blackness below", ams.MediaEncoderStandard, mp4(`{"Type":"H264Video","Condition":"InsertBlackIfNoVideoBottomLayerOnly",` + layers + `},{"Type":"AACAudio"}`), []string{sound},
			[]string{"sound_80x46_100_128.mp4: avc1 80x46 25 frames, IDR 25; mp4a 2 und"}},
		{"stitched", ams.AzureMediaEncoder, `<?xml version="1.0" encoding="utf-16"?><Preset Version="5.0"><Job/><MediaFile DeinterlaceMode="AutoPixelAdaptive" VideoResizeMode="Stretch"
			OverlayFileName="logo.png" OverlayRect="10, 10, 40, 20" OverlayLayoutMode="Custom" OverlayStartTime="00:00:00.4" OverlayEndTime="00:00:01">
			<Sources><Source><Clips><Clip StartTime="00:00:01" EndTime="00:00:02"/></Clips></Source><Source MediaFile="red.mp4"/></Sources>
			<OutputFormat><MP4OutputFormat StreamCompatibility="Standard"><AudioProfile Condition="SourceContainsAudio"><DolbyDigitalPlusAudioProfile AudioCodingMode="Mode20" SamplesPerSecond="48000"><Bitrate><ConstantBitrate Bitrate="128"/></Bitrate></DolbyDigitalPlusAudioProfile></AudioProfile>
			<VideoProfile><MainH264VideoProfile KeyFrameDistance="00:00:01" AutoFit="True" FrameRate="0" SearchRange="64"><Streams AutoSize="False"><StreamInfo Size="160, 90"><Bitrate><ConstantBitrate Bitrate="300" IsTwoPass="False" BufferWindow="00:00:05"/></Bitrate></StreamInfo></Streams></MainH264VideoProfile></VideoProfile></MP4OutputFormat></OutputFormat></MediaFile></Preset>`,
			[]string{path, red, logo}, []string{"film_H264_300kbps_DDP_fra_ch2_128kbps.mp4: avc1 160x90 50 frames, IDR 25; ec-3 2 fra"}},
		{"thumbnails", ams.AzureMediaEncoder, `<Thumbnail Size="80,*" Type="Png" Filename="{OriginalFilename}_{ThumbnailIndex}.{DefaultExtension}"><Time Value="0:0:0" Step="0:0:0.4" Stop="0:0:1"/></Thumbnail>`,
			[]string{path}, []string{"film_000001.png: 80x46", "film_000002.png: 80x46", "film_000003.png: 80x46"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := Request{Feeds: []Feed{feed(t, "", Clip{}, tt.files...)}}
			q.Feeds[0].Chosen = 0
			dir := filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeRequest(t, configured(t, tt.processor, tt.text), q, dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Files) > 0 && tt.name != "stitched" { // Smooth has no Dolby Digital
				check(t, files, plan, dir)
			}
			var got []string
			for _, f := range files {
				if s := show(t, f); s != "" {
					got = append(got, s)
				}
			}
			if len(got) < len(tt.want) || !slices.Equal(got[:len(tt.want)], tt.want) {
				t.Errorf("outputs\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if tt.name == "silence" {
				b := string(read(t, filepath.Join(dir, "silent_manifest.xml")))
				for _, want := range []string{`xmlns="http://schemas.microsoft.com/windowsazure/mediaservices/2013/05/mediaencoder/metadata"`,
					`Name="silent_160x90_200_128.mp4"`, `FourCC="AVC1"`, `TargetBitrate="200"`, `<AudioTrack Id="0" Codec="AacLc" Channels="2" SamplingRate="48000"`, `<Source Name="silent.mp4">`} {
					if !strings.Contains(b, want) {
						t.Errorf("no %s in %s", want, b)
					}
				}
			}
			if tt.name == "stitched" {
				c := shades(t, filepath.Join(dir, "film_H264_300kbps_DDP_fra_ch2_128kbps.mp4"), "30:14:15:13")
				if len(c) != 50 || name(c[5]) == "white" || name(c[15]) != "white" || name(c[24]) != "white" || name(c[30]) != "red" {
					t.Errorf("%d frames, %v, %v, %v, %v", len(c), c[5], c[15], c[24], c[30])
				}
			}
		})
	}
}

// FuzzWritten: whatever a written preset says, it is refused, or makes plans
// whose arguments hold nothing that it did not mean.
func FuzzWritten(f *testing.F) {
	for _, dir := range []string{"mes", "ame"} {
		all, err := filepath.Glob("testdata/written/" + dir + "/*.*")
		if err != nil || len(all) == 0 {
			f.Fatalf("no presets: %v", err)
		}
		for _, path := range all {
			b, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(dir == "mes", string(b))
		}
	}
	b, err := os.ReadFile("testdata/probes/bbb-720p25-5.1-5s.mp4.json")
	if err != nil {
		f.Fatal(err)
	}
	info, err := ffmpeg.ParseInfo(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, standard bool, text string) {
		processor := ams.AzureMediaEncoder
		if standard {
			processor = ams.MediaEncoderStandard
		}
		p, err := ParseConfiguration(processor, text)
		if err != nil {
			if code := ams.CodeOf(err); code != ams.Invalid && code != ams.Unsupported {
				t.Fatal(err)
			}
			return
		}
		plan, err := NewPlan(p, One("x", info, Clip{}))
		if err != nil {
			return
		}
		paths := make([]string, len(plan.Inputs))
		for i := range paths {
			paths[i] = "/in"
		}
		for _, a := range plan.Args(paths, "/out") {
			if strings.ContainsAny(a, "\x00\n") {
				t.Fatalf("argument %q", a)
			}
		}
	})
}
