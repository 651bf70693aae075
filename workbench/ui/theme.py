"""How the app looks: the charts' tokens as a Gradio theme, and the rules for the parts of a page.

`CSS` needs no Gradio, so that a plain HTML page can wear it; `THEME` loads Gradio when it is
asked for. Pass both to `launch(theme=THEME, head=HEAD)`: Gradio prefixes what comes by `css=`
and then loses the rules for its own container inside `@media`.
"""

from functools import cache
from typing import Any

from workbench import charts

_CARRIED = {  # token: the theme variables that carry it, in light and, as *_dark, in dark
    "bg": """body_background_fill background_fill_primary block_background_fill
        block_label_background_fill block_title_background_fill panel_background_fill
        table_even_background_fill table_odd_background_fill checkbox_label_background_fill
        button_cancel_background_fill button_cancel_background_fill_hover
        button_primary_text_color""",
    "surface": """input_background_fill input_background_fill_focus input_background_fill_hover
        button_secondary_background_fill checkbox_background_color error_background_fill""",
    "sunken": """background_fill_secondary button_secondary_background_fill_hover
        stat_background_fill code_background_fill table_row_focus
        checkbox_label_background_fill_hover checkbox_label_background_fill_selected
        color_accent_soft""",
    "ink": """body_text_color block_title_text_color block_label_text_color accordion_text_color
        table_text_color slider_color loader_color border_color_accent input_border_color_focus
        button_primary_background_fill button_primary_background_fill_hover
        button_primary_border_color button_secondary_text_color button_cancel_text_color
        checkbox_background_color_selected checkbox_border_color_selected
        checkbox_label_text_color checkbox_label_text_color_selected link_text_color
        link_text_color_hover link_text_color_active link_text_color_visited""",
    "muted": "body_text_color_subdued block_info_text_color input_placeholder_color",
    "line": """border_color_primary block_border_color table_border_color panel_border_color
        border_color_accent_subdued checkbox_label_border_color""",
    "rule": """input_border_color button_secondary_border_color button_cancel_border_color
        checkbox_border_color""",
    "fail": "error_text_color error_icon_color error_border_color",
}

_SHAPE = {  # value: the theme variables that have it
    "0px": """block_border_width block_border_width_dark block_label_border_width
        block_title_border_width panel_border_width block_padding form_gap_width table_radius""",
    "none": """block_shadow block_shadow_dark block_label_shadow input_shadow input_shadow_dark
        input_shadow_focus input_shadow_focus_dark button_primary_shadow
        button_primary_shadow_hover button_secondary_shadow button_secondary_shadow_hover
        button_transform_hover""",
    "8px": """block_radius container_radius input_radius button_large_radius
        button_medium_radius button_small_radius""",
    "1px": """input_border_width input_border_width_dark button_border_width
        button_border_width_dark""",
    "14px": """body_text_size prose_text_size input_text_size block_title_text_size
        block_label_text_size section_header_text_size button_large_text_size
        button_medium_text_size checkbox_label_text_size""",
    "600": """block_title_text_weight block_label_text_weight button_large_text_weight
        button_medium_text_weight""",
    "12px": "block_info_text_size",
    "24px": "layout_gap",
    "12px 20px": "button_large_padding",
    "background 120ms ease-out": "button_transition",
    "*body_text_color": "color_accent",  # has no dark twin; a hex would hide the chosen tab
    "#747982": """checkbox_background_color_selected_dark
        checkbox_border_color_selected_dark""",  # Gradio's tick is white in both modes
}

_NATIVE = """
.gradio-container{max-width:none!important;padding:0 max(20px,4.2vw,50vw - 560px)!important;
font-variant-numeric:tabular-nums}
.gradio-container .main.fillable{padding:0 0 24px!important;max-width:none!important}
.prose.prose.prose *{color:inherit}
.form{gap:16px!important;overflow:visible!important;background:none!important;border:0!important}
.container>.wrap{border-color:var(--rule)!important}
.block{overflow:visible!important}
.block .html-container{padding:0!important}
.block .head input[type=number]{width:56px!important;text-align:right;font-weight:600}
.label-wrap{text-align:left;min-height:44px;align-items:center;font-weight:600;
border-top:1px solid var(--line);margin:0!important}
.label-wrap>span:first-child{flex:1;font-weight:600}
.label-wrap .icon{margin-right:4px}
.block .min_value,.block .max_value{display:none}
button.lg{min-height:44px}
#top{position:absolute;inset:0 0 auto;height:56px;z-index:2;pointer-events:none}
#top :is(a,button){pointer-events:auto}
.tab-wrapper{height:56px!important;padding:0 100px 0 236px!important;margin-bottom:8px;
border-bottom:1px solid var(--line)}
.tab-container{height:56px!important}.tab-container:after{display:none}
.tab-wrapper [role=tab]{height:56px!important;padding:0 12px!important;
color:var(--muted)!important}
.tab-wrapper [role=tab].selected{color:var(--ink)!important;font-weight:600!important}
input[type=range]{height:32px!important}
input[type=range]::-webkit-slider-runnable-track{height:4px!important;border-radius:2px;
background:linear-gradient(to right,var(--ink) var(--range_progress),
var(--rule) var(--range_progress))!important}
input[type=range]::-webkit-slider-thumb{background:var(--ink)!important;width:18px!important;
height:18px!important;margin-top:-7px!important;border:0!important;border-radius:50%!important;
box-shadow:0 0 0 3px var(--bg)!important}
input[type=range]::-moz-range-track{height:4px;border-radius:2px;background:var(--rule)}
input[type=range]::-moz-range-progress{height:4px;border-radius:2px;background:var(--ink)}
input[type=range]::-moz-range-thumb{background:var(--ink);width:18px;height:18px;border:0;
box-shadow:0 0 0 3px var(--bg)}
:focus-visible{outline:2px solid var(--ink)!important;outline-offset:3px!important;
box-shadow:0 0 0 3px var(--you)!important}
input[type=range]:focus-visible,.container>.wrap input:focus-visible{outline:0!important;
box-shadow:none!important}
input[type=range]:focus-visible::-webkit-slider-thumb{
box-shadow:0 0 0 3px var(--you),0 0 0 5px var(--ink)!important}
input[type=range]:focus-visible::-moz-range-thumb{
box-shadow:0 0 0 3px var(--you),0 0 0 5px var(--ink)!important}
.container>.wrap:has(input:focus-visible){outline:2px solid var(--ink)!important;
outline-offset:3px;box-shadow:0 0 0 3px var(--you)!important}
.options.options{background:var(--surface)!important;border:1px solid var(--rule)!important;
border-radius:8px!important}
"""

_PARTS = """body:not(#none){
.say,.say p{font:400 19px/28px var(--serif)!important;color:var(--ink);margin:0;
text-wrap:balance}
.say h1,.say:is(h1){font:400 30px/38px var(--serif)!important;letter-spacing:-.01em;margin:0;
color:var(--ink);text-wrap:balance}
.say.act h1,.say.act:is(h1){font-size:40px!important;line-height:48px!important}
.aside,.aside p{font-size:13px!important;line-height:20px!important;color:var(--muted);margin:0}
.part{font:600 14px/20px var(--sans)!important;color:var(--ink);margin:0 0 12px}
.part small{font-weight:400;font-size:13px;color:var(--muted);margin-left:8px}
.huge{font:600 44px/48px var(--sans)!important;letter-spacing:-.02em;color:var(--ct,var(--ink));
margin:8px 0 0}
.huge small{font-size:16px;letter-spacing:0}
.card{--paper:var(--surface);background:var(--surface);border:1px solid var(--line);
border-radius:8px;box-shadow:var(--lift);padding:20px}
.card.enter{animation:enter 200ms ease-out}
.brand{display:flex;gap:10px;align-items:center;height:56px;font-weight:600;white-space:nowrap}
.steps{display:flex;gap:6px;align-items:center;font-size:13px;color:var(--muted)}
.steps i{width:24px;height:4px;border-radius:2px;background:var(--line)}
.steps i.on{background:var(--ink)}.steps span{margin-left:6px}
.run-bar{gap:8px!important;align-items:center;flex-wrap:wrap!important}
.run-bar button{min-height:40px!important;height:40px;padding:0 16px!important;
flex:0 0 auto!important;min-width:0!important;width:auto!important}
button.ghost{background:none!important;border-color:transparent!important}
.status{display:flex;gap:8px;align-items:center;font-size:13px;line-height:20px;
min-height:20px;color:var(--ink)}
.status b{font-weight:600}
.status.failed,.status.failed b,.notice{color:var(--fail)}
.notice{font-size:13px;line-height:20px;margin:0;text-wrap:pretty}
.live-dot{width:8px;height:8px;border-radius:50%;background:var(--c,var(--muted));flex:none;
display:inline-block}
.live-dot.on{animation:beat 1.2s ease-in-out infinite}
.progress{height:3px;border-radius:2px;background:var(--line);overflow:hidden}
.progress i{display:block;height:100%;width:var(--done,0%);background:var(--ink)}
.tools{display:flex;gap:20px;flex-wrap:wrap;align-items:center}
.link,button.link{border:0!important;background:none!important;padding:0!important;
min-height:24px!important;height:auto!important;align-self:flex-start;width:auto!important;font-size:13px!important;
font-weight:400!important;color:var(--ink)!important;text-decoration:underline;
text-decoration-color:var(--rule);text-underline-offset:4px;cursor:pointer}
.this-one{display:grid;grid-template-columns:72px 1fr;gap:12px;align-items:center}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(64px,1fr));gap:12px}
.samples button,.samples figure{margin:0;padding:0;border:0;background:none;cursor:pointer;
font-size:12px;line-height:16px;color:var(--muted);text-align:left;border-radius:4px}
.samples .digit{width:100%;height:auto;margin-bottom:4px}
.samples button:hover .digit{border-color:var(--rule)}
.samples [aria-pressed=true]{color:var(--ink);font-weight:600}
.samples [aria-pressed=true] .digit{outline:3px solid var(--you);border-color:var(--ink);
box-shadow:0 0 0 4.5px var(--ink)}
.hairline{border-top:1px solid var(--line);padding-top:16px;margin-top:24px}
.lab{display:grid!important;grid-template-columns:248px minmax(0,1fr) 232px;gap:0 48px!important;
align-items:start}
.lab>*{min-width:0!important;width:auto!important}
}
@keyframes enter{from{opacity:0;transform:translateY(8px)}}
@keyframes beat{50%{opacity:.35}}
:root{--lift:0 1px 2px #1b1d210d,0 8px 24px #1b1d210f}
.dark{--lift:none;color-scheme:dark}
"""

_NARROWER = """body:not(#none){
@media(max-width:1199px){
.lab{grid-template-columns:248px minmax(0,1fr);gap:32px 40px!important}
.lab>:nth-child(3){grid-column:1/-1}}
@media(max-width:1023px){
.say.act h1,.say.act:is(h1){font-size:32px!important;line-height:40px!important}}
@media(max-width:639px){
#top{position:relative;height:48px}.brand{height:48px}
.tab-wrapper{padding:0!important;height:44px!important}
.tab-container,.tab-wrapper [role=tab]{height:44px!important}
.say,.say p{font-size:18px!important;line-height:26px!important}
.say h1,.say.act h1,.say:is(h1),.say.act:is(h1){font-size:26px!important;
line-height:32px!important}
.huge{font-size:36px!important;line-height:40px!important}
.card{padding:16px}button.lg{min-height:48px}
.run-bar button{min-height:44px!important;height:44px;padding:0 14px!important}
.part small{display:block;margin:0}
.lab{grid-template-columns:minmax(0,1fr)}
.lab>:nth-child(2){grid-row:1}}
}
@media(prefers-reduced-motion:reduce){*{animation:none!important;transition:none!important}}
"""

CSS: str = charts.STYLE + _NATIVE + _PARTS + _NARROWER
HEAD: str = f"<style>{CSS}</style>"


def variables() -> dict[str, str]:
    """Every theme variable that differs from Gradio's base theme, in both modes."""
    out = {name: value for value, names in _SHAPE.items() for name in names.split()}
    for token, names in _CARRIED.items():
        for name in names.split():
            light, dark = charts.TOKENS[token]
            out[name] = light
            out.setdefault(f"{name}_dark", dark)
    return out


@cache
def theme() -> Any:
    """The Gradio theme; system fonts, so that nothing is fetched."""
    import gradio as gr

    sans = ["ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
    base = gr.themes.Base(font=sans, font_mono=["ui-monospace", "monospace"])
    return base.set(**variables())


def __getattr__(name: str) -> Any:
    """`THEME`, made when it is first used: Gradio takes seconds to load."""
    if name == "THEME":
        return theme()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
