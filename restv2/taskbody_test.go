package restv2

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

const printedBody = `<?xml version="1.0" encoding="utf-8"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetName="CustomOutputAssetName">JobOutputAsset(0)</outputAsset></taskBody>`

func TestParseTaskBody(t *testing.T) {
	in := func(n int) account.Port { return account.Port{N: n} }
	for _, tt := range []struct {
		text string
		want taskBody
	}{
		{printedBody, taskBody{inputs: []account.Port{in(0)}, outputs: []account.OutputPort{{Name: "CustomOutputAssetName"}}}},
		{"\ufeff<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<taskBody taskTemplateId='nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789'>\n\t<inputAsset> JobOutputAsset(0) </inputAsset>\n <inputAsset>JobInputAsset(12)</inputAsset>" +
			`<outputAsset assetCreationOptions="1" assetFormatOption="1" storageAccountName="other" assetName="é &amp; &#9731;">JobOutputAsset(1)</outputAsset><outputAsset>JobOutputAsset(3)</outputAsset></taskBody>`,
			taskBody{template: "071370a3-e63e-4e81-a099-ad66bcac3789", inputs: []account.Port{{Output: true}, in(12)},
				outputs: []account.OutputPort{{N: 1, Name: "é & ☃", Options: ams.StorageEncrypted, FormatOption: 1, StorageAccount: "other"}, {N: 3}}}},
		{`<taskBody xmlns="http://x" xmlns:a="b"><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`,
			taskBody{inputs: []account.Port{in(0)}, outputs: []account.OutputPort{{}}}},
	} {
		got, err := parseTaskBody(tt.text)
		if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(taskBody{})); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.text, err, d)
		}
	}
	for _, text := range []string{
		"", "H264", "<taskBody/>", "<taskBody>", "<taskBody></taskBody><taskBody></taskBody>", "<jobTemplate></jobTemplate>",
		`<taskBody><inputAsset>JobInputAsset(0)</inputAsset></taskBody>`,
		`<taskBody><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`,
		`<taskBody><inputAsset>JobInputAsset(-1)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`,
		`<taskBody><inputAsset>JobInputAsset(99999)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`,
		`<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobInputAsset(0)</outputAsset></taskBody>`,
		`<taskBody>x<inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`,
		`<taskBody><inputAsset><a/>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`,
		`<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetCreationOptions="3">JobOutputAsset(0)</outputAsset></taskBody>`,
		`<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetname="x">JobOutputAsset(0)</outputAsset></taskBody>`,
		`<taskBody taskTemplateId="x"><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`,
		`<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset><other/></taskBody>`,
		`<!DOCTYPE a [<!ENTITY x "y">]><taskBody><inputAsset>&x;</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`,
		"<taskBody>" + strings.Repeat("<inputAsset>JobInputAsset(0)</inputAsset>", 101) + "<outputAsset>JobOutputAsset(0)</outputAsset></taskBody>",
		strings.Repeat("<a>", 100),
	} {
		if b, err := parseTaskBody(text); err == nil {
			t.Errorf("%.100q is taken as %v", text, b)
		}
	}
}

func TestParseJobTemplateBody(t *testing.T) {
	task := strings.TrimPrefix(printedBody, `<?xml version="1.0" encoding="utf-8"?>`)
	tasks, err := parseJobTemplateBody(`<?xml version="1.0" encoding="utf-8"?><jobTemplate>` + task + task + `</jobTemplate>`)
	if err != nil || len(tasks) != 2 || tasks[1].outputs[0].Name != "CustomOutputAssetName" {
		t.Errorf("%v, %v", tasks, err)
	}
	for _, text := range []string{task, "<jobTemplate/>", "<jobTemplate><x/></jobTemplate>", "<jobTemplate>" + strings.Repeat(task, 31) + "</jobTemplate>"} {
		if tasks, err := parseJobTemplateBody(text); err == nil {
			t.Errorf("%.60s is taken as %v", text, tasks)
		}
	}
}

// What is taken reads back the same.
func FuzzTaskBody(f *testing.F) {
	f.Add(printedBody)
	f.Add(`<taskBody taskTemplateId="nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789"><inputAsset>JobOutputAsset(0)</inputAsset><outputAsset assetCreationOptions="1" assetFormatOption="1" storageAccountName="s">JobOutputAsset(1)</outputAsset></taskBody>`)
	f.Add("<?xml version=\"1.0\" encoding=\"utf-16\"?><taskBody>\n<inputAsset>JobInputAsset(1)</inputAsset></taskBody>")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := parseTaskBody(text)
		if err != nil {
			return
		}
		again, err := parseTaskBody(b.String())
		if d := cmp.Diff(b, again, cmp.AllowUnexported(taskBody{})); d != "" || err != nil {
			t.Fatalf("%q as %s: %v\n%s", text, b, err, d)
		}
	})
}
