package restv2_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/jobqueue"
)

// The tasks that the documents print.
const (
	encodeTask = `{"Configuration":"H264 Adaptive Bitrate MP4 Set 720p","MediaProcessorId":"nb:mpid:UUID:1b1da727-93ae-4e46-a8a1-268828765609",
		"TaskBody":"<?xml version=\"1.0\" encoding=\"utf-8\"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>"}`
	chainedTask = `{"Configuration":"H264 Smooth Streaming 720p","MediaProcessorId":"nb:mpid:UUID:1b1da727-93ae-4e46-a8a1-268828765609",
		"TaskBody":"<?xml version=\"1.0\" encoding=\"utf-16\"?><taskBody><inputAsset>JobOutputAsset(0)</inputAsset><outputAsset>JobOutputAsset(1)</outputAsset></taskBody>"}`
)

// input makes an asset with one file.
func input(t *testing.T, w *world) string {
	t.Helper()
	_, id := create(t, w.Server, "Assets", `{"Name":"in"}`)
	create(t, w.Server, "Files", `{"Name":"film.mp4","ParentAssetId":"`+id+`"}`)
	return id
}

func uri(set, id string) string {
	return "https://testrest.cloudapp.net/api/" + set + "('" + url.QueryEscape(id) + "')"
}

// chained is the printed job of two tasks over an asset.
func chained(asset string) string {
	return `{"Name":"NewTestJob","InputMediaAssets":[{"__metadata":{"uri":"` + uri("Assets", asset) + `"}}],"Tasks":[` + encodeTask + `,` + chainedTask + `]}`
}

func key(set, id string) string { return set + "('" + url.PathEscape(id) + "')" }

// do takes a task from the queue and ends it.
func (w *world) do(t *testing.T, q *jobqueue.Queue, how func(*jobqueue.Claim) error) *jobqueue.Claim {
	t.Helper()
	c, _, err := q.TryClaim(t.Context(), "w")
	if err != nil || c == nil {
		t.Fatalf("nothing to claim: %v", err)
	}
	if _, err := q.Heartbeat(t.Context(), c, 40); err != nil {
		t.Fatal(err)
	}
	if how != nil {
		if err := how(c); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// The chained job of the documents: its entities before, while and after it
// runs.
func TestChainedJob(t *testing.T) {
	w := openWorld(t)
	s := w.Server
	asset := input(t, w)
	job, id := create(t, s, "Jobs", chained(asset))
	for name, want := range map[string]any{"Name": "NewTestJob", "State": 0.0, "Priority": 0.0, "RunningDuration": 0.0, "StartTime": nil, "EndTime": nil, "TemplateId": nil} {
		if job[name] != want {
			t.Errorf("%s is %v, want %v", name, job[name], want)
		}
	}
	if !regexp.MustCompile(`^nb:jid:UUID:[0-9a-f-]{36}$`).MatchString(id) {
		t.Errorf("Id %s", id)
	}
	path := key("Jobs", strings.ToUpper(id))
	path = strings.Replace(path, "NB:JID:UUID", "nb:jid:UUID", 1)
	if got, want := names(t, s, path+"/OutputMediaAssets()", "Name"), "JobOutputAsset(0)_NewTestJob JobOutputAsset(1)_NewTestJob"; got != want {
		t.Errorf("outputs %q, want %q", got, want)
	}
	if got := names(t, s, path+"/InputMediaAssets", "Id"); got != asset {
		t.Errorf("inputs %q", got)
	}
	if got, want := names(t, s, path+"/Tasks", "Configuration"), "H264 Adaptive Bitrate MP4 Set 720p H264 Smooth Streaming 720p"; got != want {
		t.Errorf("tasks %q", got)
	}
	tasks := strings.Fields(names(t, s, path+"/Tasks", "Id"))
	outputs := strings.Fields(names(t, s, path+"/OutputMediaAssets", "Id"))
	if got := names(t, s, key("Tasks", tasks[1])+"/InputMediaAssets", "Id"); got != outputs[0] {
		t.Errorf("the second task reads %q, not %q", got, outputs[0])
	}
	if got := names(t, s, key("Assets", outputs[1])+"/ParentAssets", "Id"); got != outputs[0] {
		t.Errorf("the second output comes from %q", got)
	}

	q := jobqueue.New(w.db, jobqueue.Config{})
	defer q.Close()
	first := w.do(t, q, nil)
	if first.Task.ID != strings.TrimPrefix(tasks[0], "nb:tid:UUID:") {
		t.Errorf("%s comes first", first.Task.ID)
	}
	if _, _, task := ask(t, s, "Reader", "GET", key("Tasks", tasks[0]), ""); task["State"] != 2.0 || task["Progress"] != 40.0 || task["StartTime"] == nil {
		t.Errorf("%v", task)
	}
	if got := get(t, s.URL+"/api/"+path+"/State", "application/json;odata=verbose"); got != `{"d":{"State":2}}` {
		t.Errorf("state %s", got)
	}
	if code, _, v := ask(t, s, "Contributor", "DELETE", path, ""); code != 400 {
		t.Errorf("deleted while it runs: %d %v", code, v)
	}
	if code, _, v := ask(t, s, "Contributor", "MERGE", path, `{"Priority":7}`); code != 204 {
		t.Errorf("%d %v", code, v)
	}
	if err := q.Finish(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.do(t, q, func(c *jobqueue.Claim) error {
		report := &ams.TaskReport{Attempt: c.Task.Attempt, Worker: "w", Runs: []ams.ProgramRun{{Program: "ffmpeg", Exit: 1, Log: "rot"}}}
		if err := q.Report(t.Context(), c, report); err != nil {
			return err
		}
		return q.Fail(t.Context(), c, &ams.JobError{Code: ams.ContentMalformed, Message: "'x.mp4' is rotten."})
	})
	var told account.Explanation
	code, _, v := ask(t, s, "Reader", "GET", "ExplainJob?jobid='"+url.QueryEscape(id)+"'", "")
	text, _ := v["value"].(string)
	if err := json.Unmarshal([]byte(text), &told); code != 200 || err != nil || len(told.Tasks) != 2 ||
		told.Tasks[1].Error.Retry != "DoNotRetry" || told.Tasks[1].Reports[0].Runs[0].Log != "rot" || told.Tasks[0].Reports != nil {
		t.Errorf("ExplainJob: %d %v %v", code, err, v)
	}
	if code, _, v := ask(t, s, "Reader", "GET", "ExplainJob?jobid='nb:jid:UUID:00000000-0000-0000-0000-000000000000'", ""); code != 404 {
		t.Errorf("ExplainJob of no job: %d %v", code, v)
	}
	_, _, job = ask(t, s, "Reader", "GET", path, "")
	if job["State"] != 4.0 || job["EndTime"] == nil || job["Priority"] != 7.0 {
		t.Errorf("%v", job)
	}
	_, _, task := ask(t, s, "Reader", "GET", key("Tasks", tasks[1]), "")
	if got := fmt.Sprint(task["ErrorDetails"]); got != "[map[Code:ErrorExecutingTaskMalformedContent Message:'x.mp4' is rotten.]]" {
		t.Errorf("error %s", got)
	}
	var codes []string
	for _, e := range task["HistoricalEvents"].([]any) {
		codes = append(codes, e.(map[string]any)["Code"].(string))
	}
	if !slices.Equal(codes, []string{"Queued", "Scheduled", "Processing", "Error"}) {
		t.Errorf("events %q", codes)
	}
	// Its output goes; that of the first task stays.
	if err := w.accounts.SweepOutputs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s, path+"/OutputMediaAssets", "Id"); got != outputs[0] {
		t.Errorf("outputs left: %q", got)
	}
	for _, filter := range []string{"State eq 4", "Name eq 'NewTestJob' and Priority gt 6", "Id eq '" + id + "'", "EndTime gt datetime'2020-01-01T00:00:00Z'", "startswith(Name,'New')"} {
		if got := names(t, s, "Jobs?$filter="+url.QueryEscape(filter), "Id"); got != id {
			t.Errorf("%s finds %q", filter, got)
		}
	}
	for _, filter := range []string{"State eq 4", "Progress lt 50", "MediaProcessorId eq 'nb:mpid:UUID:1B1DA727-93ae-4e46-a8a1-268828765609' and State ne 3"} {
		if got := names(t, s, "Tasks?$filter="+url.QueryEscape(filter), "Id"); got != tasks[1] {
			t.Errorf("%s finds %q", filter, got)
		}
	}
	for _, code := range []int{204, 404} {
		if got, _, v := ask(t, s, "Contributor", "DELETE", path, ""); got != code {
			t.Errorf("deleting: %d %v", got, v)
		}
	}
	if code, _, _ := ask(t, s, "Reader", "GET", key("Tasks", tasks[0]), ""); code != 404 {
		t.Errorf("the task is there still: %d", code)
	}
}

// get fetches a URL in a format.
func get(t *testing.T, u, accept string) string {
	t.Helper()
	_, body := send(t, "GET", u, "", http.Header{"Accept": {accept}})
	return body
}

// send sends a request as a Contributor.
func send(t *testing.T, method, u, body string, h http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, u, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = h
	r.Header.Set("Authorization", "Bearer Contributor")
	r.Header.Set("X-Ms-Version", "2.11")
	r.Header.Set("MaxDataServiceVersion", "3.0")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// A job canceled before, while and after it runs.
func TestCancelJob(t *testing.T) {
	w := openWorld(t)
	asset := input(t, w)
	q := jobqueue.New(w.db, jobqueue.Config{})
	defer q.Close()
	cancel := func(id string) int {
		code, _, _ := ask(t, w.Server, "Contributor", "GET", "CancelJob?jobid='"+url.QueryEscape(id)+"'", "")
		return code
	}
	state := func(id string) any {
		_, _, v := ask(t, w.Server, "Reader", "GET", key("Jobs", id), "")
		return v["State"]
	}
	_, queued := create(t, w.Server, "Jobs", chained(asset))
	if code := cancel(queued); code != 204 || state(queued) != 5.0 {
		t.Errorf("queued: %d, state %v", code, state(queued))
	}
	_, running := create(t, w.Server, "Jobs", chained(asset))
	c := w.do(t, q, nil)
	if code := cancel(running); code != 204 || state(running) != 6.0 {
		t.Errorf("running: %d, state %v", code, state(running))
	}
	if code := cancel(running); code != 400 {
		t.Errorf("canceling: %d", code)
	}
	if err := q.Cancelled(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if state(running) != 5.0 || cancel(running) != 400 || cancel(queued) != 400 {
		t.Errorf("canceled: state %v, %d", state(running), cancel(running))
	}
	_, done := create(t, w.Server, "Jobs", `{"Name":"x","InputMediaAssets@odata.bind":["`+uri("Assets", asset)+`"],"Tasks":[`+encodeTask+`]}`)
	w.do(t, q, func(c *jobqueue.Claim) error { return q.Finish(t.Context(), c) })
	if state(done) != 3.0 || cancel(done) != 400 {
		t.Errorf("finished: state %v, %d", state(done), cancel(done))
	}
	if cancel("nb:jid:UUID:00000000-0000-0000-0000-000000000000") != 404 {
		t.Error("an unknown job was canceled")
	}
}

// What a job may not be is refused by name, and leaves nothing.
func TestJobRefused(t *testing.T) {
	w := openWorld(t)
	asset := input(t, w)
	_, two := create(t, w.Server, "Assets", `{"Name":"two"}`)
	for _, name := range []string{"a.mp4", "b.mp4"} {
		create(t, w.Server, "Files", `{"Name":"`+name+`","ParentAssetId":"`+two+`"}`)
	}
	task := func(processor, configuration, body, more string) string {
		return `{"MediaProcessorId":"nb:mpid:UUID:` + processor + `","Configuration":"` + configuration + `","TaskBody":"` + body + `"` + more + `}`
	}
	const (
		mes    = "ff4df607-d419-42f0-bc17-a481b1331e56"
		ame    = "1b1da727-93ae-4e46-a8a1-268828765609"
		preset = "H264 Multiple Bitrate 720p"
	)
	body := func(in, out string) string {
		return "<taskBody><inputAsset>" + in + "</inputAsset><outputAsset>" + out + "</outputAsset></taskBody>"
	}
	good := task(mes, preset, body("JobInputAsset(0)", "JobOutputAsset(0)"), "")
	for _, tt := range []struct {
		tasks, asset string
		code         int
		says         string
	}{
		{"", asset, 400, "at least one task"},
		{task(mes, preset, "<taskBody>", ""), asset, 400, "Task 0"},
		{task(mes, preset, body("JobInputAsset(1)", "JobOutputAsset(0)"), ""), asset, 400, "no JobInputAsset(1)"},
		{task(mes, preset, body("JobOutputAsset(4)", "JobOutputAsset(0)"), ""), asset, 400, "no task has the output JobOutputAsset(4)"},
		{good + "," + good, asset, 400, "an output of task 0 already"},
		{task(mes, preset, body("JobOutputAsset(1)", "JobOutputAsset(0)"), "") + "," + task(mes, preset, body("JobOutputAsset(0)", "JobOutputAsset(1)"), ""), asset, 400, "cycle"},
		{task(mes, preset, body("JobOutputAsset(0)", "JobOutputAsset(0)"), ""), asset, 400, "cycle"},
		{strings.Repeat(good+",", 30) + good, asset, 400, "at most 30 tasks"},
		{task("00000000-0000-0000-0000-000000000000", preset, body("JobInputAsset(0)", "JobOutputAsset(0)"), ""), asset, 400, "no media processor"},
		{task("38a620d8-b8dc-4e39-bb2e-7d589587232b", preset, body("JobInputAsset(0)", "JobOutputAsset(0)"), ""), asset, 400, "no taskDefinition of the processor Windows Azure Media Encryptor"},
		{task(mes, "No such preset", body("JobInputAsset(0)", "JobOutputAsset(0)"), ""), asset, 400, "No such preset"},
		{task(ame, preset, body("JobInputAsset(0)", "JobOutputAsset(0)"), ""), asset, 400, "Media Encoder Standard"},
		{task(mes, preset, "<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset><outputAsset>JobOutputAsset(1)</outputAsset></taskBody>", ""), asset, 400, "one output asset"},
		{task(mes, preset, "<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset storageAccountName='none'>JobOutputAsset(0)</outputAsset></taskBody>", ""), asset, 404, "'none'"},
		{task(mes, preset, "<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetCreationOptions='4'>JobOutputAsset(0)</outputAsset></taskBody>", ""), asset, 400, "'Media Encoder Standard' makes no files that fit the assetCreationOptions 4"},
		{task(mes, preset, "<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetCreationOptions='2'>JobOutputAsset(0)</outputAsset></taskBody>", ""), asset, 400, "assetCreationOptions 2"},
		{task(mes, preset, body("JobInputAsset(0)", "JobOutputAsset(0)"), `,"Options":9`), asset, 400, "Options"},
		{good, "nb:cid:UUID:00000000-0000-0000-0000-000000000000", 404, "input asset"},
		{good, two, 400, "primary file"},
		{task(mes, preset, body("JobInputAsset(0)", "JobOutputAsset(0)"), `,"TaskNotificationSubscriptions":[{"NotificationEndPointId":"nb:nepid:UUID:00000000-0000-0000-0000-000000000000","TargetTaskState":2}]`), asset, 404, "notification endpoint"},
	} {
		code, _, v := ask(t, w.Server, "Contributor", "POST", "Jobs", `{"Name":"refused","InputMediaAssets":[{"__metadata":{"uri":"`+uri("Assets", tt.asset)+`"}}],"Tasks":[`+tt.tasks+`]}`)
		if code != tt.code || !strings.Contains(fmt.Sprint(v["odata.error"]), tt.says) {
			t.Errorf("%.200s: %d %v, want %d %q", tt.tasks, code, v, tt.code, tt.says)
		}
	}
	if got := names(t, w.Server, "Jobs", "Id") + names(t, w.Server, "Assets?$filter=substringof('refused',Name)", "Id"); got != "" {
		t.Errorf("left behind: %q", got)
	}
	if code, _, v := ask(t, w.Server, "Contributor", "POST", "Tasks", good); code != 405 {
		t.Errorf("a task alone: %d %v", code, v)
	}
	if code, _, v := ask(t, w.Server, "Reader", "POST", "Jobs", chained(asset)); code != 403 {
		t.Errorf("a Reader's job: %d %v", code, v)
	}
}

// The $batch of the documents, as they print it, over an asset of this server.
func TestBatchJob(t *testing.T) {
	w := openWorld(t)
	asset := input(t, w)
	batch := func(task string) (int, string) {
		text := strings.ReplaceAll(printedBatch, "nb%3Acid%3AUUID%3A2a22445d-1500-80c6-4b34-f1e5190d33c6", url.QueryEscape(asset))
		text = strings.ReplaceAll(text, "TASK", task)
		return send(t, "POST", w.URL+"/api/$batch", strings.ReplaceAll(text, "\n", "\r\n"), http.Header{
			"Content-Type": {"multipart/mixed; boundary=batch_a01a5ec4-ba0f-4536-84b5-66c5a5a6d34e"}, "Accept": {"multipart/mixed"}, "DataServiceVersion": {"1.0;NetFx"}})
	}
	code, body := batch(strings.Replace(encodeTask, "<outputAsset>", `<outputAsset assetName=\"Custom output name\">`, 1))
	if code != 202 || strings.Count(body, "HTTP/1.1 201 Created") != 2 || !strings.Contains(body, `"TaskBody"`) {
		t.Fatalf("%d %s", code, body)
	}
	if got := names(t, w.Server, "Jobs", "Name"); got != "NewTestJob" {
		t.Errorf("jobs %q", got)
	}
	id := names(t, w.Server, "Jobs", "Id")
	if got := names(t, w.Server, key("Jobs", id)+"/OutputMediaAssets", "Name"); got != "Custom output name" {
		t.Errorf("outputs %q", got)
	}
	// One bad task, and there is nothing.
	code, body = batch(strings.Replace(encodeTask, "MP4 Set 720p", "MP4 Set 999p", 1))
	if code != 202 || strings.Contains(body, "201 Created") || !strings.Contains(body, "HTTP/1.1 400") || !strings.Contains(body, "999p") {
		t.Errorf("%d %s", code, body)
	}
	if got := names(t, w.Server, "Jobs", "Id"); got != id {
		t.Errorf("jobs %q", got)
	}
}

const printedBatch = `

--batch_a01a5ec4-ba0f-4536-84b5-66c5a5a6d34e
Content-Type: multipart/mixed; boundary=changeset_122fb0a4-cd80-4958-820f-346309967e4d

--changeset_122fb0a4-cd80-4958-820f-346309967e4d
Content-Type: application/http
Content-Transfer-Encoding: binary

POST https://media.windows.net/api/Jobs HTTP/1.1
Content-ID: 1
Content-Type: application/json
Accept: application/json
DataServiceVersion: 3.0
MaxDataServiceVersion: 3.0
Accept-Charset: UTF-8
Authorization: Bearer <token>
x-ms-version: 2.11
x-ms-client-request-id: 00000000-0000-0000-0000-000000000000

{"Name" : "NewTestJob", "InputMediaAssets@odata.bind":["https://media.windows.net/api/Assets('nb%3Acid%3AUUID%3A2a22445d-1500-80c6-4b34-f1e5190d33c6')"]}

--changeset_122fb0a4-cd80-4958-820f-346309967e4d
Content-Type: application/http
Content-Transfer-Encoding: binary

POST https://media.windows.net/api/$1/Tasks HTTP/1.1
Content-ID: 2
Content-Type: application/json;odata=verbose
Accept: application/json;odata=verbose
DataServiceVersion: 3.0
MaxDataServiceVersion: 3.0
Accept-Charset: UTF-8
Authorization: Bearer <token>
x-ms-version: 2.11
x-ms-client-request-id: 00000000-0000-0000-0000-000000000000

TASK

--changeset_122fb0a4-cd80-4958-820f-346309967e4d--
--batch_a01a5ec4-ba0f-4536-84b5-66c5a5a6d34e--
`

// The job template of the documents, and a job of it.
func TestJobTemplate(t *testing.T) {
	w := openWorld(t)
	s := w.Server
	asset := input(t, w)
	body := `{"Name" : "NewJobTemplate25", "JobTemplateBody" : "<?xml version=\"1.0\" encoding=\"utf-8\"?><jobTemplate><taskBody taskTemplateId=\"nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789\"><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody></jobTemplate>", "TaskTemplates" : [{"Id" : "nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789", "Configuration" : "H264 Smooth Streaming 720p", "MediaProcessorId" : "nb:mpid:UUID:2e7aa8f3-4961-4e0c-b4db-0e0439e524f5", "Name" : "SampleTaskTemplate2", "NumberofInputAssets" : 1, "NumberofOutputAssets" : 1}] }`
	template, id := create(t, s, "JobTemplates", body)
	if template["NumberofInputAssets"] != 1.0 || template["TemplateType"] != 0.0 {
		t.Errorf("%v", template)
	}
	if code, _, v := ask(t, s, "Contributor", "POST", "JobTemplates", body); code != 409 {
		t.Errorf("a task template's id twice: %d %v", code, v)
	}
	if code, _, v := ask(t, s, "Contributor", "MERGE", key("JobTemplates", id), `{"Name":"x"}`); code != 400 {
		t.Errorf("a change: %d %v", code, v)
	}
	if got := names(t, s, key("JobTemplates", id)+"/TaskTemplates", "Name"); got != "SampleTaskTemplate2" {
		t.Errorf("task templates %q", got)
	}
	if got := names(t, s, "TaskTemplates?$filter=Name%20eq%20'SampleTaskTemplate2'", "Configuration"); got != "H264 Smooth Streaming 720p" {
		t.Errorf("task templates %q", got)
	}
	if _, _, v := ask(t, s, "Reader", "GET", "TaskTemplates('nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789')", ""); v["MediaProcessorId"] != "nb:mpid:UUID:2e7aa8f3-4961-4e0c-b4db-0e0439e524f5" {
		t.Errorf("%v", v)
	}
	job := `{"Name" : "NewTestJob", "InputMediaAssets" : [{"__metadata" : {"uri" : "` + uri("Assets", asset) + `"}}], "TemplateId" : "` + id + `"}`
	made, jid := create(t, s, "Jobs", job)
	if made["TemplateId"] != id || names(t, s, key("Jobs", jid)+"/Tasks", "Name") != "SampleTaskTemplate2" || names(t, s, key("Jobs", jid)+"/OutputMediaAssets", "Name") != "JobOutputAsset(0)_NewTestJob" {
		t.Errorf("%v", made)
	}
	for _, tt := range []struct {
		set, body string
		code      int
	}{
		{"Jobs", strings.Replace(job, `"TemplateId"`, `"Tasks":[`+encodeTask+`],"TemplateId"`, 1), 400},
		{"Jobs", strings.Replace(job, id, "nb:jtid:UUID:00000000-0000-0000-0000-000000000000", 1), 404},
		{"JobTemplates", strings.ReplaceAll(body, "Smooth Streaming 720p", "Smooth Streaming 721p"), 400},
		{"JobTemplates", strings.Replace(body, "071370A3", "171370A3", 1), 400},
		{"JobTemplates", strings.ReplaceAll(body, "071370A3-E63E", "x"), 400},
	} {
		if code, _, v := ask(t, s, "Contributor", "POST", tt.set, tt.body); code != tt.code {
			t.Errorf("%s: %d %v, want %d", tt.body, code, v, tt.code)
		}
	}
	// As the PHP SDK makes one, in a changeset.
	changeset := strings.NewReplacer("/api/Jobs", "/api/JobTemplates", "/Tasks", "/TaskTemplates",
		`"InputMediaAssets@odata.bind":["https://media.windows.net/api/Assets('nb%3Acid%3AUUID%3A2a22445d-1500-80c6-4b34-f1e5190d33c6')"]`,
		`"JobTemplateBody":"<jobTemplate><taskBody taskTemplateId='nb:ttid:UUID:171370A3-E63E-4E81-A099-AD66BCAC3789'><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody></jobTemplate>"`,
		"TASK", `{"Id":"nb:ttid:UUID:171370A3-E63E-4E81-A099-AD66BCAC3789","Configuration":"H264 Broadband 720p","MediaProcessorId":"nb:mpid:UUID:2e7aa8f3-4961-4e0c-b4db-0e0439e524f5","NumberofInputAssets":1,"NumberofOutputAssets":1}`).Replace(printedBatch)
	code, text := send(t, "POST", w.URL+"/api/$batch", changeset, http.Header{"Content-Type": {`multipart/mixed; boundary="batch_a01a5ec4-ba0f-4536-84b5-66c5a5a6d34e"`}})
	if code != 202 || strings.Count(text, "201 Created") != 2 {
		t.Errorf("%d %s", code, text)
	}
	for _, code := range []int{204, 404} {
		if got, _, _ := ask(t, s, "Contributor", "DELETE", key("JobTemplates", id), ""); got != code {
			t.Errorf("deleting: %d, want %d", got, code)
		}
	}
	if code, _, _ := ask(t, s, "Reader", "GET", key("Jobs", jid), ""); code != 200 {
		t.Errorf("the job went with its template: %d", code)
	}
}

// A notification endpoint is refused by name, and shows its secrets to nobody
// or to who may make one.
func TestNotificationEndPoint(t *testing.T) {
	w := openWorld(t)
	_, id := create(t, w.Server, "NotificationEndPoints", `{"Name":"hook","EndPointType":3,"EndPointAddress":"https://example.org/in?code=x"}`)
	path := key("NotificationEndPoints", id)
	for role, want := range map[string]string{"Contributor": "https://example.org/in?code=x", "Reader": "https://example.org/in"} {
		if _, _, e := ask(t, w.Server, role, "GET", path, ""); e["EndPointAddress"] != want || e["EncryptedEndPointCredential"] != nil {
			t.Errorf("%s sees %v", role, e)
		}
	}
	for body, says := range map[string]string{
		`{"Name":"q","EndPointType":1,"EndPointAddress":"jobqueue"}`:                                                                        "no storage queues",
		`{"Name":"h","EndPointType":3,"EndPointAddress":"jobqueue"}`:                                                                        "http or https URL",
		`{"Name":"h","EndPointType":2,"EndPointAddress":"https://example.org"}`:                                                             "EndPointType",
		`{"Name":"h","EndPointType":3,"EndPointAddress":"https://example.org","CredentialType":1}`:                                          "CredentialType 1",
		`{"Name":"h","EndPointType":3,"EndPointAddress":"https://example.org","CredentialType":1,"EncryptedEndPointCredential":"bm9uZQ=="}`: "RSA-OAEP",
	} {
		if code, _, v := ask(t, w.Server, "Contributor", "POST", "NotificationEndPoints", body); code != 400 || !strings.Contains(fmt.Sprint(v), says) {
			t.Errorf("%s: %d %v, want %q", body, code, v, says)
		}
	}
	if code, _, v := ask(t, w.Server, "Contributor", "MERGE", path, `{"Name":"new"}`); code != 204 {
		t.Errorf("%d %v", code, v)
	}
	if got := names(t, w.Server, "NotificationEndPoints?$filter=EndPointType%20eq%203", "Name"); got != "new" {
		t.Errorf("names %q", got)
	}
	if code, _, _ := ask(t, w.Server, "Contributor", "DELETE", strings.Replace(path, "nepid", "ncid", 1), ""); code != 204 {
		t.Errorf("deleting by the documented spelling of the id: %d", code)
	}
}

// One truth: a job of either API is seen, canceled and deleted through the
// other.
func TestJobsOfBothAPIs(t *testing.T) {
	w := openWorld(t)
	ctx := context.Background()
	asset := input(t, w)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := w.account.AssetByID(ctx, strings.TrimPrefix(asset, "nb:cid:UUID:"))
	must(err)
	_, _, err = w.account.CreateOrUpdateAsset(ctx, "out", account.AssetInput{})
	must(err)
	_, _, err = w.account.CreateOrUpdateTransform(ctx, "ladder", account.TransformInput{Outputs: []ams.TransformOutput{
		{Preset: ams.Preset{Type: ams.BuiltIn, Body: []byte(`{"presetName":"AdaptiveStreaming"}`)}}}})
	must(err)
	v3, err := w.account.SubmitJob(ctx, "ladder", "by-v3", account.JobRequest{Priority: ams.High,
		Input: ams.JobInput{Kind: ams.InputAsset, Asset: a.Name}, Outputs: []account.JobOutput{{Asset: "out"}}})
	must(err)

	// v3's in v2.
	path := key("Jobs", "nb:jid:UUID:"+v3.ID)
	_, _, j := ask(t, w.Server, "Reader", "GET", path, "")
	if j["Name"] != "by-v3" || j["Priority"] != 1.0 || j["State"] != 0.0 {
		t.Errorf("%v", j)
	}
	if got := names(t, w.Server, path+"/InputMediaAssets", "Id"); got != asset {
		t.Errorf("inputs %q", got)
	}
	if got := names(t, w.Server, path+"/OutputMediaAssets", "Name"); got != "out" {
		t.Errorf("outputs %q", got)
	}
	id := names(t, w.Server, path+"/Tasks", "Id")
	_, _, task := ask(t, w.Server, "Reader", "GET", key("Tasks", id), "")
	if task["Configuration"] != "AdaptiveStreaming" || task["MediaProcessorId"] != "nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56" ||
		task["TaskBody"] != `<?xml version="1.0" encoding="utf-8"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>` {
		t.Errorf("%v", task)
	}
	if code, _, v := ask(t, w.Server, "Contributor", "GET", "CancelJob?jobid='nb%3Ajid%3AUUID%3A"+v3.ID+"'", ""); code != 204 {
		t.Errorf("%d %v", code, v)
	}
	if now, err := w.account.Job(ctx, "ladder", "by-v3"); err != nil || now.State != ams.Canceled {
		t.Errorf("%+v %v", now, err)
	}
	if code, _, v := ask(t, w.Server, "Contributor", "DELETE", path, ""); code != 204 {
		t.Errorf("%d %v", code, v)
	}
	if _, err := w.account.Job(ctx, "ladder", "by-v3"); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("deleted by v2, but %v", err)
	}

	// v2's in v3, under the transform that is kept for them.
	_, v2 := create(t, w.Server, "Jobs", chained(asset))
	guid := strings.TrimPrefix(v2, "nb:jid:UUID:")
	list, _, err := w.account.Jobs(ctx, account.V2Jobs, catalog.Query{})
	if err != nil || len(list) != 1 || list[0].Name != guid || list[0].Description != "NewTestJob" {
		t.Fatalf("%+v %v", list, err)
	}
	job, err := w.account.Job(ctx, strings.ToUpper(account.V2Jobs), guid)
	must(err)
	if len(job.Tasks) != 2 || job.Input.Inputs[0].Asset != a.Name {
		t.Errorf("%+v", job)
	}
	low := ams.Low
	_, err = w.account.UpdateJob(ctx, account.V2Jobs, guid, account.JobUpdate{Priority: &low})
	must(err)
	if _, _, j := ask(t, w.Server, "Reader", "GET", key("Jobs", v2), ""); j["Priority"] != -1.0 {
		t.Errorf("%v", j)
	}
	must(w.account.CancelJob(ctx, account.V2Jobs, guid))
	if _, _, j := ask(t, w.Server, "Reader", "GET", key("Jobs", v2), ""); j["State"] != 5.0 {
		t.Errorf("%v", j)
	}
	existed, err := w.account.DeleteJob(ctx, account.V2Jobs, guid)
	if !existed || err != nil {
		t.Errorf("%v %v", existed, err)
	}
	if code, _, _ := ask(t, w.Server, "Reader", "GET", key("Jobs", v2), ""); code != 404 {
		t.Errorf("deleted by v3, but %d", code)
	}
	if _, _, err := w.account.CreateOrUpdateTransform(ctx, account.V2Jobs, account.TransformInput{Outputs: []ams.TransformOutput{
		{Preset: ams.Preset{Type: ams.BuiltIn, Body: []byte(`{"presetName":"AdaptiveStreaming"}`)}}}}); ams.CodeOf(err) != ams.Invalid {
		t.Errorf("the name was taken: %v", err)
	}
}

// Every processor of the list either takes a job or is refused by name, when the
// job is submitted.
func TestProcessors(t *testing.T) {
	w := openWorld(t)
	asset := input(t, w)
	code, _, v := ask(t, w.Server, "Reader", "GET", "MediaProcessors", "")
	if code != 200 {
		t.Fatalf("%d %v", code, v)
	}
	list := v["value"].([]any)
	taken := map[string]bool{}
	for _, item := range list {
		p := item.(map[string]any)
		id, name := p["Id"].(string), p["Name"].(string)
		if version, err := strconv.ParseFloat(p["Version"].(string), 64); err != nil || version <= 0 || !strings.HasPrefix(id, "nb:mpid:UUID:") {
			t.Errorf("%v", p)
		}
		for _, configuration := range []string{"", map[string]string{"Media Encoder Standard": "Adaptive Streaming", "Azure Media Encoder": "H264 Smooth Streaming 720p", "Windows Azure Media Encoder": "H264 Smooth Streaming 720p"}[name]} {
			code, _, v := ask(t, w.Server, "Contributor", "POST", "Jobs", `{"Name":"j","InputMediaAssets@odata.bind":["`+uri("Assets", asset)+`"],"Tasks":[{"MediaProcessorId":"`+id+`","Configuration":"`+configuration+`",
				"TaskBody":"<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>"}]}`)
			switch {
			case code == 201:
				taken[name] = true
			case code != 400 || !strings.Contains(fmt.Sprint(v), "'"+name+"'"):
				t.Errorf("%s, %q: %d %v", name, configuration, code, v)
			}
		}
	}
	if len(list) != 18 {
		t.Errorf("%d processors", len(list))
	}
	for _, name := range []string{"Media Encoder Standard", "Azure Media Encoder", "Windows Azure Media Encoder", "Storage Decryption"} {
		if !taken[name] {
			t.Errorf("no job of %s was taken", name)
		}
	}
	if n := len(strings.Fields(names(t, w.Server, "Jobs", "Id"))); n < len(taken) {
		t.Errorf("%d jobs of %d processors", n, len(taken))
	}
}

// Assets, the outputs of jobs and ingest manifests lie where they are told to.
func TestStorageAccountName(t *testing.T) {
	w := openWorld(t)
	if _, _, err := w.accounts.CreateStorageAccount(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	more := w.account.Account
	more.Storage = append(slices.Clone(more.Storage), ams.AccountStorage{Name: "second"})
	if _, _, _, err := w.accounts.CreateOrUpdateAccount(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	if got := names(t, w.Server, "StorageAccounts?$filter=IsDefault%20eq%20false", "Name"); got != "second" {
		t.Errorf("%s", got)
	}
	e, id := create(t, w.Server, "Assets", `{"Name":"a","StorageAccountName":"second"}`)
	if container := "asset-" + strings.TrimPrefix(id, "nb:cid:UUID:"); e["StorageAccountName"] != "second" || e["Uri"] != "http://127.0.0.1:10000/second/"+container {
		t.Errorf("%v", e)
	}
	_, _, v := ask(t, w.Server, "Reader", "GET", "Assets('"+id+"')/StorageAccount", "")
	if v["Name"] != "second" {
		t.Errorf("%v", v)
	}
	create(t, w.Server, "Files", `{"Name":"film.mp4","ParentAssetId":"`+id+`"}`)
	_, job := create(t, w.Server, "Jobs", `{"Name":"j","InputMediaAssets@odata.bind":["`+uri("Assets", id)+`"],"Tasks":[{"MediaProcessorId":"nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56","Configuration":"Adaptive Streaming",
		"TaskBody":"<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset storageAccountName=\"second\" assetFormatOption=\"1\" assetName=\"named\">JobOutputAsset(0)</outputAsset></taskBody>"}]}`)
	_, _, v = ask(t, w.Server, "Reader", "GET", key("Jobs", job)+"/OutputMediaAssets", "")
	if out := v["value"].([]any)[0].(map[string]any); out["StorageAccountName"] != "second" || out["FormatOption"] != 1.0 || out["Name"] != "named" || !strings.HasPrefix(out["Uri"].(string), "http://127.0.0.1:10000/second/asset-") {
		t.Errorf("%v", out)
	}
	_, _, m := ask(t, w.Server, "Contributor", "POST", "IngestManifests", `{"Name":"m"}`)
	if code, _, v := ask(t, w.Server, "Contributor", "POST", "IngestManifestAssets", `{"ParentIngestManifestId":"`+m["Id"].(string)+`","Asset":{"Id":"`+id+`"}}`); code != 409 {
		t.Errorf("a manifest of another storage account: %d %v", code, v)
	}
	_, _, m = ask(t, w.Server, "Contributor", "POST", "IngestManifests", `{"Name":"m","StorageAccountName":"second"}`)
	if code, _, v := ask(t, w.Server, "Contributor", "POST", "IngestManifestAssets", `{"ParentIngestManifestId":"`+m["Id"].(string)+`","Asset":{"Id":"`+id+`"}}`); code != 201 || !strings.Contains(m["BlobStorageUriForUpload"].(string), "/second/") {
		t.Errorf("%d %v, %v", code, v, m)
	}
}

// What an output asset is made with is what its AssetCreationOptions say. A
// processor that encrypts streams makes those that are for such, an encoder does
// not.
func TestAssetCreationOptions(t *testing.T) {
	w := openWorld(t)
	asset := input(t, w)
	definition := func(id string, properties ...string) string {
		text := `<taskDefinition xmlns="http://schemas.microsoft.com/iis/media/v4/TM/TaskDefinition#"><name>N</name><id>` + id + `</id><properties namespace="n" prefix="p">`
		for i := 0; i < len(properties); i += 2 {
			text += `<property name="` + properties[i] + `" value="` + properties[i+1] + `"/>`
		}
		return text + `</properties></taskDefinition>`
	}
	playReady := definition("9A3BFEAC-F8AE-41CA-87FA-D639E4D1C753", "licenseAcquisitionUrl", "http://rm.example.org/rightsmanager.asmx", "contentKey", "MDEyMzQ1Njc4OWFiY2RlZg==", "keyId", keyGUID)
	hls := definition("A72D7A5D-3022-45f2-89B4-1DDC5457C111", "encrypt", "true", "key", "0123456789abcdeffedcba9876543210", "keyuri", "https://keys.example.org/")
	for _, tt := range []struct {
		processor, configuration string
		options, code            int
	}{
		{ams.MediaEncoderStandard, "Adaptive Streaming", 0, 201},
		{ams.MediaEncoderStandard, "Adaptive Streaming", 1, 201},
		{ams.MediaEncoderStandard, "Adaptive Streaming", 2, 400},
		{ams.MediaEncoderStandard, "Adaptive Streaming", 3, 400},
		{ams.MediaEncoderStandard, "Adaptive Streaming", 4, 400},
		{ams.StorageDecryption, "", 1, 201},
		{ams.StorageDecryption, "", 2, 400},
		{ams.MediaEncryptor, playReady, 2, 201},
		{ams.MediaPackager, hls, 4, 201},
		{ams.MediaPackager, hls, 1, 201},
	} {
		i := slices.IndexFunc(ams.Processors, func(p ams.Processor) bool { return p.Name == tt.processor })
		code, _, v := ask(t, w.Server, "Contributor", "POST", "Jobs", quoted(t, map[string]any{"Name": "j", "InputMediaAssets@odata.bind": []string{uri("Assets", asset)}, "Tasks": []any{map[string]any{
			"MediaProcessorId": "nb:mpid:UUID:" + ams.Processors[i].ID, "Configuration": tt.configuration,
			"TaskBody": fmt.Sprintf(`<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetCreationOptions="%d">JobOutputAsset(0)</outputAsset></taskBody>`, tt.options)}}}))
		if code != tt.code {
			t.Errorf("%s, options %d: %d %v", tt.processor, tt.options, code, v)
			continue
		}
		if code == 201 {
			if got := names(t, w.Server, key("Jobs", v["Id"].(string))+"/OutputMediaAssets", "Options"); got != fmt.Sprint(tt.options) {
				t.Errorf("%s, options %d: the asset has %s", tt.processor, tt.options, got)
			}
		}
	}
}

// What AMS documented of the length of names, texts and lists.
func TestJobLimits(t *testing.T) {
	w := openWorld(t)
	asset := input(t, w)
	_, endpoint := create(t, w.Server, "NotificationEndPoints", `{"Name":"n","EndPointType":3,"EndPointAddress":"https://example.org/in"}`)
	submit := func(name string, inputs int, task map[string]any) int {
		t.Helper()
		all := map[string]any{"MediaProcessorId": "nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56", "Configuration": "Adaptive Streaming",
			"TaskBody": "<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>"}
		maps.Copy(all, task)
		code, _, v := ask(t, w.Server, "Contributor", "POST", "Jobs", quoted(t, map[string]any{"Name": name, "InputMediaAssets@odata.bind": slices.Repeat([]string{uri("Assets", asset)}, inputs), "Tasks": []any{all}}))
		if code != 201 && code != 400 {
			t.Errorf("%d %v", code, v)
		}
		return code
	}
	subscriptions := func(n int) []any {
		return slices.Repeat([]any{map[string]any{"NotificationEndPointId": endpoint, "TargetTaskState": 2}}, n)
	}
	body := "<taskBody>" + strings.Repeat(" ", 3894) + "<inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>"
	for _, tt := range []struct {
		what   string
		name   string
		inputs int
		task   map[string]any
		code   int
	}{
		{"a name of 256 characters", strings.Repeat("é", 256), 1, nil, 201},
		{"a name of 257 characters", strings.Repeat("é", 257), 1, nil, 400},
		{"100 inputs", "j", 100, nil, 201},
		{"101 inputs", "j", 101, nil, 400},
		{"a task's name of 4000 characters", "j", 1, map[string]any{"Name": strings.Repeat("é", 4000)}, 201},
		{"a task's name of 4001 characters", "j", 1, map[string]any{"Name": strings.Repeat("é", 4001)}, 400},
		{"a TaskBody of 4000 characters", "j", 1, map[string]any{"TaskBody": body}, 201},
		{"a TaskBody of 4001 characters", "j", 1, map[string]any{"TaskBody": body + " "}, 400},
		{"a Configuration of 100001 characters", "j", 1, map[string]any{"Configuration": strings.Repeat("x", 100001)}, 400},
		{"30 subscriptions", "j", 1, map[string]any{"TaskNotificationSubscriptions": subscriptions(30)}, 201},
		{"31 subscriptions", "j", 1, map[string]any{"TaskNotificationSubscriptions": subscriptions(31)}, 400},
	} {
		if code := submit(tt.name, tt.inputs, tt.task); code != tt.code {
			t.Errorf("%s: %d, want %d", tt.what, code, tt.code)
		}
	}
	if n := len(body); n != 4000 {
		t.Errorf("the body has %d characters", n)
	}
}
