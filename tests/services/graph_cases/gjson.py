"""Each path in a Switch: a request that it seems to match goes to a where gjson finds the path, else to b."""

from tests.services.graph_rig import Case, Trial, node, says, step

VIP = {"user": {"id": 1, "age": 30}, "items": [{"vip": True, "id": 7}, {"id": 8}], "kind": "new"}
OTHER = {"user": {"id": 2}, "items": [{"id": 9}], "kind": "old"}


def switch(condition: str, request: object, answer: str) -> Trial:
    return Trial(
        nodes={"root": node("Switch", step("a", condition=condition), step("b", condition="@this"))},
        stubs={"a": says("A"), "b": says("B")},
        request=request,
        answer=answer,
    )


def never(rule: str, condition: str, mended: str) -> Case:
    return Case(rule, condition, switch(condition, VIP, "B"), switch(mended, VIP, "A"))


def always(condition: str, mended: str) -> Case:
    return Case("always-true", condition, switch(condition, OTHER, "A"), switch(mended, OTHER, "B"))


CASES = (
    never("jsonpath", "$.user.age", "user.age"),
    never("jsonpath", "$", "@this"),
    never("jsonpath", ".user.age", "user.age"),
    never("jsonpath", "user..age", "user.age"),
    never("jsonpath", "..age", "user.age"),
    never("jsonpath", "items[0].id", "items.0.id"),
    never("jsonpath", "items[*].id", "items.0.id"),
    never("jsonpath", "items.-1", "items.1"),
    never("jsonpath", "items[?(@.vip)]", "items.#(vip)"),
    never("jsonpath", "items[?(@.vip == true)].id", "items.#(vip==true).id"),
    never("jsonpath", "items.#(@.vip==true)", "items.#(vip==true)"),
    never("jsonpath", "['user']['age']", "user.age"),
    never("bare-comparison", "user.id==1", "[@this].#(user.id==1)"),
    never("bare-comparison", "user.id > 0", "[@this].#(user.id>0)"),
    never("bare-comparison", 'kind == "new"', '[@this].#(kind=="new")'),
    never("bare-comparison", '@this.kind=="new"', '[@this].#(kind=="new")'),
    never("unbalanced-query", "items.#(vip==true", "items.#(vip==true)"),
    never("unbalanced-query", "[@this.#(user.id==1)", "[@this].#(user.id==1)"),
    never("unknown-modifier", "@first", "items.0"),
    never("unknown-modifier", "items.@length", "items.#"),
    always("{ .user.id == 1 }", "[@this].#(user.id==1)"),
    always("[vip]", "items.#(vip)"),
    always("{user.age}", "user.age"),
    always("user.[age]", "user.age"),
    always("items.#(vip==true)#", "items.#(vip==true)"),
    always("items.#(vip==true)#.id", "items.#(vip==true).id"),
    always("items.#.vip", "items.#(vip)"),
    always("!false", "user.age"),
)
