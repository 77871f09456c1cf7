"""Guess how an English word is said from its letters, for names and new words no dictionary has.

Rules read the word from left to right; the first whose letters and neighbours fit gives the phones (the method of
Elovitz et al. 1976, "Letter-to-sound rules for automatic translation of English text to phonetics"; the rules here are
our own). Phones are those of the CMU pronouncing dictionary without stress. A forced alignment needs no more than a
plausible guess: the order of vowels and consonants carries the times.
"""

import re
from functools import cache

__all__ = ["LETTER_NAMES", "letters_to_phones"]

LETTER_NAMES: dict[str, str] = {
    entry[0]: entry[2:]
    for entry in (
        "a:EY,b:B IY,c:S IY,d:D IY,e:IY,f:EH F,g:JH IY,h:EY CH,i:AY,j:JH EY,k:K EY,l:EH L,m:EH M,n:EH N,o:OW,p:P IY,"
        "q:K Y UW,r:AA R,s:EH S,t:T IY,u:Y UW,v:V IY,w:D AH B AH L Y UW,x:EH K S,y:W AY,z:Z IY"
    ).split(",")
}

# before < letters > after = phones. V is a vowel letter, C a consonant letter, # either end of the word. "e#", "es#"
# and "ed#" after one consonant make a vowel long.
_MAGIC = "[bcdfgklmnprstvz](?:e|es|ed|er|ers|ing|ely)#"
_RULES = f"""
<a>{_MAGIC} = EY        <a>(?:[bdgmptk]le)# = EY    <ae> = IY       <aigh> = EY      <air> = EH R    <ai> = EY
<alk> = AO K            <al>[dlt] = AO L            <al># = AH L    <augh> = AO      <au> = AO       <aw> = AO
<ayer> = EY ER          <ay> = EY                   #<a># = AH      <a># = AH        <are># = EH R   w<ar> = AO R
<ar>r = EH R            <ar>e# = EH R               <ar> = AA R     <ation> = EY SH AH N             <ass> = AE S
#<a>(?:bout|gain|round|way|long|like|live) = AH     qu<a> = AA      w<a>[tsn] = AA   <able># = AH B AH L
<age># = IH JH          <ate># = EY T               <ange> = EY N JH    <a>C+ie# = AE
<a>(?:nge|ste)# = EY    <a>[bcdfgklmnpstvz][iu][aou] = EY           <a> = AE

<bb> = B                #m<b># =                    m<b># =         <bt># = T        <b> = B

<cch> = K               <cc>[eiy] = K S             <cc> = K        #<chr> = K R     <chl> = K L
<cian> = SH AH N        <cious> = SH AH S           <cial> = SH AH L                 <ciat> = SH IY EY T
<ch>[lr] = K            s<ch> = K                   <ch> = CH       <ck> = K         <cqu> = K W     s<c>[eiy] =
<c>[eiy] = S            #<cz> = CH                  <c> = K

<dd> = D                <dge> = JH                  <dg> = JH       <dj> = JH        <d># = D        <du>[aeo] = JH UW
<d> = D

<eau> = OW              <eigh> = EY                 <eer> = IH R    <ee> = IY        <ear>[ltn]h? = ER    <ear> = IH R
<ea>(?:d|th|lth|sure|ther|ven)# = EH                <ea> = IY       <ei> = AY        <eu> = Y UW     <ew> = UW
<eys># = IY Z           <ey># = IY                  <ey> = EY       [td]<ed># = AH D [pkfsxch]<ed># = T     <ed># = D
(?:s|x|z|ch|sh|c|g)<es># = AH Z                     <es># = Z       V.*<e># =        <er>V = EH R    <er> = ER
<e>(?:[bcdfgklmnprstvz]e)# = IY                     <ely># = L IY   V.*<e>(?:ly|ment|less|ness|ful) =
C+<e># = IY             #<e>x = EH                  #<(?:re)>[bcdfglmnpqstv][aeiou] = R IY           #C*<e>o = IY
V.*<el># = AH L         V.*<en># = AH N             V.*<ent># = AH N T  V.*<ence># = AH N S          V.*<et># = AH T
<e> = EH

<ff> = F                <f> = F

#<gn> = N               <gn># = N                   <gh>t =         #<gh> = G        <gh># =         <gh> = G
<gg> = G                #<gi>[rv] = G IH            #<ge>[t] = G EH <geous> = JH AH S   <gion> = JH AH N
<g>[eiy] = JH           <gu>[ei] = G                <g> = G

#<hon>[eo] = AA N       [aeiou]<h>C =               [aeiou]<h># =   r<h> =           <h> = HH

<igh> = AY              <ign># = AY N               <ind># = AY N D <ild># = AY L D  <ier># = IY ER  <iest># = IY AH S T
<ied># = IY D           <ies># = IY Z               #C*<ie># = AY   <ie># = IY       <ie> = IY       <ique> = IY K
<ism># = IH Z AH M      <ize> = AY Z                <ise># = AY Z   <ine># = AY N    <ity># = AH T IY
<ing># = IH NG          <ings># = IH NG Z           <ir>V = IH R    <ir> = ER        <ious> = IY AH S
V.*<i>ve# = IH          <i>{_MAGIC} = AY            #<i># = AY      <i># = IY        #b<i>o = AY     #C*<i>[aeo] = AY
<i>[aou] = IY           <i> = IH

<j> = JH                #<kn> = N                   <kk> = K        <k> = K

<ll> = L                C<le># = AH L               C<les># = AH L Z    C<led># = AH L D         <l>[fmk]# =
<l> = L

#<mc>[kcg] = M AH       #<mc> = M AH K              <mm> = M        <mn># = M        <m> = M

<nn> = N                <ngth> = NG TH              <ng>(?:er|le|l|r|u) = NG G      <nge> = N JH    <ng> = NG
<nk> = NG K             <nx> = NG K S               <nqu> = NG K W  <n> = N

<oar> = AO R            <oa> = OW                   <oeu> = UW      <oe># = OW       <oes># = OW Z   <oe> = IY
<oi> = OY               <oy> = OY                   <ook> = UH K    <oor> = AO R     <oo> = UW       <ough>t = AO
<ough># = OW            <ou>(?:nd|t|se|ch|th|r#) = AW               <our> = AO R     <ous># = AH S   <ould> = UH D
<oup> = UW P            <ou> = AW                   <ow>n = OW      <ow># = OW       <ow> = AW       <old> = OW L D
<olk> = OW K            <oll># = OW L               <ost># = OW S T w<or> = ER       V.*<or># = ER   <or> = AO R
<o>{_MAGIC} = OW        <ology> = AA L AH JH IY     <o># = OW       <os># = OW Z     V.*<on># = AH N     <o>V = IY OW
<o>C(?:[iu]?[aou]) = OW <om>e# = AH M               <o>CC = AA      <o> = AA

<pph> = F               <ph> = F                    <pp> = P        #<ps> = S        #<pn> = N       <p> = P

<que># = K              <qu> = K W                  <q> = K

<rrh> = R               <rh> = R                    <rr> = R        <r> = R

<sch>[lmnrw] = SH       <sch> = S K                 <ssion> = SH AH N   <ssure> = SH ER      [aeiou]<sion> = ZH AH N
<sion> = SH AH N        <sure># = ZH ER             <ss> = S        <sc>[eiy] = S    <sh> = SH
[aeiouy]<s>[eiu] = Z
[bdglmnrvwy]<s># = Z    [aeiou][aeou]<s># = Z       [eo]<s># = Z    <sm># = Z AH M   #<sz> = SH      #<st>len = S
s<t>(?:le|en)# =        <s> = S

<tch> = CH              <tion> = SH AH N            <tious> = SH AH S   <tial> = SH AH L         <tient> = SH AH N T
<ture># = CH ER         <tures># = CH ER Z          <tual> = CH UW AH L <thm># = DH AH M         [aeiou]<th>er = DH
#<th>(?:e|is|at|ese|ose|em|ere|an|us|ough)# = DH    <the># = DH     <th> = TH        <tt> = T        <tz> = T S
<tsch> = CH             <t> = T

g<u>[aeiou] =           <ui>[st] = UW               <ue># = UW      <uy> = AY        [rljs]<u>{_MAGIC} = UW
<ur>V = Y UH R          <ur> = ER                   <u>{_MAGIC} = Y UW  #<un> = AH N             #<uni> = Y UW N AH
[rljs]<u>C[aeiou] = UW  <u>C[aeiou] = Y UW          <u># = UW       <ull># = UH L    <ush># = UH SH  V.*<um># = AH M
V.*<us># = AH S         <ul>[aeo] = Y AH L          <u> = AH

<vv> = V                <v> = V

#<wr> = R               #<who> = HH UW              <wh> = W        [aeo]<w> =       <w> = W

#<x> = Z                <xc>[ei] = K S              <x> = K S

#<y>V = Y               C[aeiou]?.*C<y># = IY       #C+<y># = AY    #C+<ye># = AY    <y>{_MAGIC} = AY
<ying># = IY IH NG      C<y>[lmnprst] = IH          <yr> = IH R     [aeiou]<y> =     <y>V = Y        <y> = IY

<zz> = Z                #<zh> = ZH                  <z> = Z
"""
_CLASSES = {"V": "[aeiouy]", "C": "[bcdfghjklmnpqrstvwxz]"}


def letters_to_phones(word: str) -> tuple[str, ...]:
    """Phones of a word of letters a–z and apostrophes.

    >>> " ".join(letters_to_phones("blinger"))
    'B L IH NG G ER'
    """
    text = "#" + re.sub("[^a-z]", "", word.lower()) + "#"
    phones: list[str] = []
    at = 1
    while at < len(text) - 1:
        for before, letters, after, sounds in _compiled()[text[at]]:
            middle = letters.match(text, at)
            if middle and after.match(text, middle.end()) and before.search(text[:at]):
                phones += sounds
                at = middle.end()
                break
    return tuple(phones)


@cache
def _compiled() -> dict[str, list[tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], list[str]]]]:
    rules: dict[str, list[tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], list[str]]]] = {}
    for before, letters, after, sounds in re.findall(
        r"(\S*)<(\S+?)>(\S*) =((?: [A-Z]{1,2}(?= |$))*)", _RULES, re.MULTILINE
    ):
        first = letters.lstrip("(?:")[0]
        rule = (
            re.compile(_expand(before) + "$"),
            re.compile(_expand(letters)),
            re.compile(_expand(after)),
            sounds.split(),
        )
        rules.setdefault(first, []).append(rule)
    return rules


def _expand(pattern: str) -> str:
    return re.sub("[VC]", lambda match: _CLASSES[match[0]], pattern)
